/* tern submission: what accounts have sent lately, and those whose mail is on hold. */
#include "tern.h"
#include "date.h"
#include "delivery.h"
#include "ipc.h"
#include "queue_tool.h"
#include <jansson.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE   60000 /* ms */
#define EXIT_USAGE 64

static const struct {
    const char *word;
    enum login_change change;
    const char *done; /* what is said then; %s is the account */
    bool counts;      /* of messages */
} changes[] = {
    {"hold", LOGIN_CHANGE_HOLD, "mail of this account goes on hold", false},
    {"lift", LOGIN_CHANGE_LIFT, "this account may send again", false},
    {"release", LOGIN_CHANGE_RELEASE, "released from hold", true},
    {"delete", LOGIN_CHANGE_DELETE, "deleted", true},
};

static int usage(void) {
    tern_complain(
        "usage: tern submission [--json] [list] | hold LOGIN [REASON] | lift LOGIN | release LOGIN | delete LOGIN");
    return EXIT_USAGE;
}

static int connect_to_qmgr(const struct tern *tern) {
    struct failure failure = {0};
    struct config *config = tern_load(tern);
    if (!config) return -1;
    char *directory = memory_copy_string(config->queue_directory);
    int socket = chdir(directory) == 0 ? ipc_connect_path("public/qmgr", &failure) : -1;
    if (socket < 0) tern_complain("the mail system is down, or may not be asked: %s", failure.text);
    MEMORY_FREE(directory);
    config_free(&config);
    return socket;
}

/* ---- list */

/* 0: what has not happened. */
static void append_date(struct buf *out, uint64_t seconds) {
    time_t when = (time_t)seconds;
    struct tm fields;
    char text[40];
    if (seconds == 0)
        buf_append(out, STR("never"));
    else if (localtime_r(&when, &fields) && strftime(text, sizeof text, "%F %T", &fields))
        buf_append(out, str_from(text));
}

static json_t *json_date(uint64_t seconds) {
    return seconds ? json_integer((json_int_t)seconds) : json_null();
}

static json_t *json_printable(struct str text) {
    struct buf printable = buf_make(0);
    queue_tool_printable(&printable, text);
    json_t *string = json_stringn(buf_string(&printable), printable.length);
    buf_free(&printable);
    return string;
}

static void add(json_t *array, const struct ipc_login_state *row) {
    json_array_append_new(array,
                          json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "login", json_printable(row->login),
                                    "messages", (json_int_t)row->messages, "recipients", (json_int_t)row->recipients,
                                    "bytes", (json_int_t)row->bytes, "window", (json_int_t)row->window, "last",
                                    json_date(row->used), "held", json_date(row->held), "reason",
                                    row->held ? json_printable(row->reason) : json_null()));
}

static void show(const struct ipc_login_state *row) {
    struct buf line = buf_make(0);
    queue_tool_printable(&line, row->login);
    buf_printf(&line, ": %llu messages, %llu recipients, %llu bytes in %llu s, last ",
               (unsigned long long)row->messages, (unsigned long long)row->recipients, (unsigned long long)row->bytes,
               (unsigned long long)row->window);
    append_date(&line, row->used);
    if (row->held) {
        buf_append(&line, STR("\n    ON HOLD since "));
        append_date(&line, row->held);
        buf_append(&line, STR(": "));
        queue_tool_printable(&line, row->reason);
    }
    puts(buf_string(&line));
    buf_free(&line);
}

/* array: for --json, else NULL. */
static int list_rows(int socket, json_t *array) {
    char after[260] = "";
    int status = EXIT_SUCCESS;
    for (bool more = true; more && status == EXIT_SUCCESS;) {
        struct arena *arena = arena_create(0);
        struct ipc_reply reply = {.descriptor = -1};
        struct failure failure = {0};
        struct ipc_login_list question = {.after = str_from(after)};
        struct ipc_login_state row;
        size_t offset = 0;
        bool bad = false;
        if (ipc_ask_blocking(socket, IPC_LOGIN_LIST, &question, -1, IPC_LOGIN_LISTED, PATIENCE, arena, &reply,
                             &failure) == IPC_OK) {
            const struct ipc_login_listed *listed = reply.message;
            more = listed->more;
            while (ipc_list_next(listed->logins, IPC_ROW_LOGIN_STATE, &offset, &row, &bad)) {
                array ? add(array, &row) : show(&row);
                snprintf(after, sizeof after, "%.*s", STR_ARGS(row.login));
            }
        } else {
            tern_complain("%s", failure.text);
            status = EXIT_FAILURE;
        }
        arena_destroy(&arena);
    }
    return status;
}

static int list(int socket, bool json) {
    json_t *array = json ? json_array() : NULL;
    int status = list_rows(socket, array);
    if (array && status == EXIT_SUCCESS) {
        json_dumpf(array, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(array);
    return status;
}

/* ---- changes */

static int change(int socket, size_t row, const char *login, const char *reason) {
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    struct ipc_login_change wish = {
        .change = changes[row].change, .login = str_from(login), .reason = str_slice(str_from(reason), 0, 200)};
    bool good = strlen(login) <= 250 && ipc_ask_blocking(socket, IPC_LOGIN_CHANGE, &wish, -1, IPC_QMGR_CHANGED,
                                                         PATIENCE, arena, &reply, &failure) == IPC_OK;
    if (!good) {
        tern_complain("%s: %s", login, failure.text[0] ? failure.text : "no such account");
    } else if (changes[row].counts) {
        unsigned long long count = ((const struct ipc_qmgr_changed *)reply.message)->count;
        printf("%s: %llu message%s %s\n", login, count, count == 1 ? "" : "s", changes[row].done);
    } else {
        printf("%s: %s\n", login, changes[row].done);
    }
    arena_destroy(&arena);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int tern_submission(const struct tern *tern) {
    bool json = tern->argument_count > 0 && strcmp(tern->arguments[0], "--json") == 0;
    char **words = tern->arguments + json;
    int count = tern->argument_count - json;
    const char *word = count ? words[0] : "list";
    bool listing = strcmp(word, "list") == 0;
    size_t row = 0;
    while (row < ARRAY_LENGTH(changes) && strcmp(changes[row].word, word) != 0)
        row++;
    if (listing ? count > 1 : json || row == ARRAY_LENGTH(changes) || count < 2) return usage();
    if (!listing && count > (changes[row].change == LOGIN_CHANGE_HOLD ? 3 : 2)) return usage();
    int socket = connect_to_qmgr(tern);
    if (socket < 0) return EXIT_FAILURE;
    int status = listing ? list(socket, json) : change(socket, row, words[1], count > 2 ? words[2] : "");
    close(socket);
    return status;
}
