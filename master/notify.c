/* notify: telling systemd (or who speaks as it does) how we are: one datagram
 * to the socket in NOTIFY_SOCKET. */
#include "master.h"

#include "str.h"

#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void notify_send(const char *text) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@') /* the abstract name space */
        address.sun_path[0] = '\0';
    struct buf message = buf_make(500);
    buf_append(&message, str_from(text));
    if (strncmp(text, "RELOADING=1", 11) == 0) { /* Type=notify-reload wants to know since when */
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        buf_printf(&message, "\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    } else if (strncmp(text, "READY=1", 7) == 0) {
        buf_printf(&message, "\nMAINPID=%d", (int)getpid());
    }
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor >= 0) {
        socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        (void)!sendto(descriptor, buf_string(&message), message.length, MSG_NOSIGNAL, (struct sockaddr *)&address, length);
        close(descriptor);
    }
    buf_free(&message);
}

static void still_alive(void *argument) {
    (void)argument;
    notify_send("WATCHDOG=1");
}

void notify_start_watchdog(void) {
    const char *microseconds = getenv("WATCHDOG_USEC");
    uint64_t period = 0;
    if (microseconds == NULL || !str_to_u64(str_from(microseconds), INT32_MAX * UINT64_C(1000), &period) || period < 2000)
        return;
    (void)loop_timer_start((int64_t)period / 2000, (int64_t)period / 2000, still_alive, NULL);
}
