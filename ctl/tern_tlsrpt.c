/* tern tlsrpt: what has been gathered for the reports on TLS (RFC 8460), and sending them now. */
#include "tern.h"

#include "date.h"
#include "ipc.h"
#include "queue_tool.h"

#include <stdio.h>
#include <unistd.h>

enum { PATIENCE = 60000, SEND_PATIENCE = 600000, EXIT_USAGE_ERROR = 64 };

static int connect_tlsrpt(const struct tern *tern, struct failure *failure) {
    struct config *config = tern_load(tern);
    struct buf path = buf_make(4096);
    if (!config) return -1;
    buf_printf(&path, "%.*s/public/tlsrpt", STR_ARGS(config->queue_directory));
    int socket = ipc_connect_path(buf_string(&path), failure);
    buf_free(&path);
    config_free(&config);
    return socket;
}

/* ---- tern tlsrpt */

static void print_row(const struct ipc_tlsrpt_gathered *row) {
    struct buf line = buf_make(0);
    queue_tool_printable(&line, row->domain);
    buf_printf(&line, "\t%llu\t%llu\t", (unsigned long long)row->success, (unsigned long long)row->failure);
    date_append_rfc3339(&line, (int64_t)row->begin * CLOCK_SECOND, 0, 0);
    buf_append(&line, row->closed ? STR("\tdue ") : STR("\topen"));
    if (row->closed) date_append_rfc3339(&line, (int64_t)row->due * CLOCK_SECOND, 0, 0);
    buf_append_char(&line, '\t');
    queue_tool_printable(&line, row->record);
    puts(buf_string(&line));
    buf_free(&line);
}

static bool list_part(int socket, uint64_t *skip, bool *more, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_tlsrpt_list question = {.skip = *skip};
    struct ipc_reply reply = {.descriptor = -1};
    bool good = ipc_ask_blocking(socket, IPC_TLSRPT_LIST, &question, -1, IPC_TLSRPT_LISTED, PATIENCE, arena, &reply,
                                 failure) == IPC_OK;
    if (good) {
        const struct ipc_tlsrpt_listed *answer = reply.message;
        struct ipc_tlsrpt_gathered row;
        size_t offset = 0;
        bool bad = false;
        for (; ipc_list_next(answer->reports, IPC_ROW_TLSRPT_GATHERED, &offset, &row, &bad); (*skip)++)
            print_row(&row);
        *more = answer->more;
    }
    arena_destroy(&arena);
    return good;
}

static bool list(int socket, struct failure *failure) {
    uint64_t skip = 0;
    bool more = true;
    while (more)
        if (!list_part(socket, &skip, &more, failure)) return false;
    return true;
}

/* ---- tern tlsrpt send [DOMAIN] */

static bool send_now(int socket, const char *domain, bool *all, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_tlsrpt_send question = {.domain = str_from(domain)};
    struct ipc_reply reply = {.descriptor = -1};
    bool good = ipc_ask_blocking(socket, IPC_TLSRPT_SEND, &question, -1, IPC_TLSRPT_SENT, SEND_PATIENCE, arena, &reply,
                                 failure) == IPC_OK;
    if (good) {
        const struct ipc_tlsrpt_sent *answer = reply.message;
        printf("%llu sent, %llu to be tried again\n", (unsigned long long)answer->sent,
               (unsigned long long)answer->failed);
        *all = answer->failed == 0;
    }
    arena_destroy(&arena);
    return good;
}

int tern_tlsrpt(const struct tern *tern) {
    struct failure failure = {0};
    bool sending = tern->argument_count > 0 && strcmp(tern->arguments[0], "send") == 0, all = true;
    if (tern->argument_count > (sending ? 2 : 0)) {
        tern_complain("usage: tern tlsrpt [send [DOMAIN]]");
        return EXIT_USAGE_ERROR;
    }
    int socket = connect_tlsrpt(tern, &failure);
    bool good = socket >= 0;
    if (good && sending)
        good = send_now(socket, tern->argument_count > 1 ? tern->arguments[1] : NULL, &all, &failure);
    else if (good)
        good = list(socket, &failure);
    if (socket >= 0) close(socket);
    if (!good) tern_complain("%s", failure.text);
    return good && all ? EXIT_SUCCESS : EXIT_FAILURE;
}
