/* echo_service: stands in for any daemon in t/e2e/test_master.py. Greets a TCP
 * connection with its service name and pid, sends every line back and logs it,
 * but for "connect NAME" and "path NAME" (asks master for that service or UNIX
 * socket, says what came of it),
 * and "full" and "free" (tells master so). Logs a wake-up as "woken".
 * Dies at the start with status 7 if the queue directory has a file named
 * crash-PROGRAM. It speaks to master by hand, without the service skeleton, so
 * that a fault of the one does not hide in the other. */
#include "buf.h"
#include "ipc.h"
#include "service.h"

#include <libgen.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_LIMIT 64
#define LISTENER_LIMIT 64

struct echo {
    const char *service;
    int listeners[LISTENER_LIMIT];
    int listener_count;
    int connections[CONNECTION_LIMIT];
    int connection_count;
    bool draining;
    bool full;
};

static void tell_master(enum ipc_type type, const void *message) {
    struct buf packet = buf_make(4096);
    if (ipc_encode(type, 0, message, &packet))
        (void)!send(INHERITED_CONTROL, buf_string(&packet), packet.length, MSG_NOSIGNAL);
    buf_free(&packet);
}

/* True if the process is to go on. */
static bool hear_master(struct echo *echo) {
    char packet[4096];
    ssize_t got = recv(INHERITED_CONTROL, packet, sizeof packet, MSG_DONTWAIT);
    enum ipc_type type;
    uint32_t serial;
    if (got <= 0)
        return false;
    if (!ipc_peek(str_make(packet, (size_t)got), &type, &serial))
        return false;
    if (type == IPC_DRAIN)
        echo->draining = true;
    if (type == IPC_WAKE)
        (void)!write(INHERITED_LOG, "woken\n", 6);
    return true;
}

static void take_connection(struct echo *echo, int listener) {
    int connection = echo->connection_count < CONNECTION_LIMIT ? accept(listener, NULL, NULL) : -1;
    if (connection < 0)
        return;
    echo->connections[echo->connection_count++] = connection;
    dprintf(connection, "%s %d\n", echo->service, (int)getpid());
}

/* Asks master for a connection; what came of it, in words. */
static void connect_to(enum ipc_type request, const void *question, char *outcome, size_t size) {
    char packet[4096];
    enum ipc_type type = IPC_NOTHING;
    uint32_t serial;
    struct ipc_failed failed = {0};
    tell_master(request, question);
    ssize_t got = recv(INHERITED_CONTROL, packet, sizeof packet, 0); /* a descriptor that comes with it is let go */
    struct str answer = str_make(packet, got < 0 ? 0 : (size_t)got);
    if (!ipc_peek(answer, &type, &serial))
        type = IPC_NOTHING;
    if (type == IPC_FAILED && ipc_decode(answer, type, &failed))
        snprintf(outcome, size, "failed %.*s\n", STR_ARGS(failed.text));
    else
        snprintf(outcome, size, "%s\n", ipc_type_name(type));
}

static void serve(struct echo *echo, int index) {
    char bytes[1000];
    char outcome[600];
    int connection = echo->connections[index];
    ssize_t got = read(connection, bytes, sizeof bytes);
    if (got > 0) {
        struct str line = str_make(bytes, (size_t)got);
        if (str_starts(line, STR("connect "))) {
            struct ipc_connect question = {.service = str_trim(str_from_offset(line, 8))};
            connect_to(IPC_CONNECT, &question, outcome, sizeof outcome);
            line = str_from(outcome);
        } else if (str_starts(line, STR("path "))) {
            struct ipc_connect_path question = {.path = str_trim(str_from_offset(line, 5))};
            connect_to(IPC_CONNECT_PATH, &question, outcome, sizeof outcome);
            line = str_from(outcome);
        } else if (str_equal(line, STR("full\n")) || str_equal(line, STR("free\n"))) {
            echo->full = bytes[1] == 'u';
            tell_master(IPC_LOAD, &(struct ipc_load){.sessions = 1, .full = echo->full});
        }
        (void)!write(connection, line.data, line.length);
        (void)!write(INHERITED_LOG, line.data, line.length);
        return;
    }
    close(connection);
    echo->connections[index] = echo->connections[--echo->connection_count];
}

static void run(struct echo *echo) {
    struct pollfd polls[1 + LISTENER_LIMIT + CONNECTION_LIMIT];
    while (!echo->draining || echo->connection_count > 0) {
        nfds_t count = 0;
        polls[count++] = (struct pollfd){.fd = INHERITED_CONTROL, .events = POLLIN};
        for (int i = 0; i < echo->connection_count; i++)
            polls[count++] = (struct pollfd){.fd = echo->connections[i], .events = POLLIN};
        for (int i = 0; i < echo->listener_count && !echo->draining && !echo->full; i++)
            polls[count++] = (struct pollfd){.fd = echo->listeners[i], .events = POLLIN};
        int connections = echo->connection_count;
        if (poll(polls, count, -1) < 0)
            return;
        for (nfds_t i = (nfds_t)connections + 1; i < count; i++)
            if (polls[i].revents != 0)
                take_connection(echo, polls[i].fd);
        for (int i = connections; i > 0; i--)
            if (polls[i].revents != 0)
                serve(echo, i - 1);
        if (polls[0].revents != 0 && !hear_master(echo))
            return;
    }
}

int main(int argument_count, char **arguments) {
    struct echo echo = {.service = "?"};
    char marker[100];
    uint64_t listeners = 0;
    int option;
    snprintf(marker, sizeof marker, "crash-%s", basename(arguments[0]));
    if (access(marker, F_OK) == 0)
        return 7;
    while ((option = getopt(argument_count, arguments, "n:s:")) != -1)
        if (option == 's')
            echo.service = optarg;
        else if (option == 'n' && !str_to_u64(str_from(optarg), LISTENER_LIMIT, &listeners))
            return 64;
    for (uint64_t i = 0; i < listeners; i++)
        echo.listeners[echo.listener_count++] = INHERITED_LISTEN + (int)i;
    tell_master(IPC_READY, &(struct ipc_ready){});
    run(&echo);
    return 0;
}
