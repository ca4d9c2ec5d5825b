/* imap_stand: the IMAP session alone, without front and login: each connection to the port that it prints is greeted
 * with PREAUTH and served by a process of its own. For tests of commands, and for measuring them.
 *
 *   imap_stand MAILDIR CACHE [QUOTA_OCTETS [CACHE_OCTETS [READ_THREADS]]] */
#include "imap.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(int connection, const struct store_options *options, unsigned threads) {
    struct failure failure = {0};
    struct session_settings settings = {.protocol = STR("imap"), .login = STR("stand"), .append_limit = 64 << 20, .idle_timeout = 60000, .line_limit = 65536, .read_threads = threads};
    struct imap_session session = {.settings = &settings, .inotify = -1};
    memory_keep_freed(SESSION_MEMORY_KEPT);
    session.store = store_open(options, &failure);
    session.stream = stream_create(connection, settings.line_limit);
    if (!session.store) {
        fprintf(stderr, "imap_stand: %s\n", failure.text);
        exit(1);
    }
    imap_say(&session, "* PREAUTH [CAPABILITY ");
    struct buf text = buf_make(0);
    imap_capabilities(&session, &text);
    imap_say_bytes(&session, buf_str(&text));
    imap_say(&session, "] ready\r\n");
    buf_free(&text);
    imap_session_serve(&session);
    imap_session_end(&session);
    stream_destroy(&session.stream);
    store_close(&session.store);
    exit(0);
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    uint64_t quota = 0, cache = 0, threads = 0;
    if (count < 3 || (count > 3 && !str_to_u64(str_from(arguments[3]), UINT64_MAX, &quota)) ||
        (count > 4 && !str_to_u64(str_from(arguments[4]), UINT64_MAX, &cache)) ||
        (count > 5 && !str_to_u64(str_from(arguments[5]), 16, &threads))) {
        fprintf(stderr, "usage: imap_stand MAILDIR CACHE [QUOTA_OCTETS [CACHE_OCTETS [READ_THREADS]]]\n");
        return 64;
    }
    struct store_options options = {.root = str_from(arguments[1]), .cache = str_from(arguments[2]), .boot = STR("stand"), .host = STR("stand.test"),
                                    .auto_folders = STR("Drafts:\\Drafts Sent:\\Sent Trash:\\Trash"), .quota_storage = quota, .cache_limit = cache, .read_threads = (unsigned)threads, .create = true};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    signal(SIGCHLD, SIG_IGN);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 128) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        return 1;
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) continue;
        pid_t child = fork();
        if (child == 0) {
            close(listener);
            serve(connection, &options, (unsigned)threads);
        }
        close(connection);
    }
}
