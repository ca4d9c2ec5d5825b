/* tern who, tern kick: sessions of IMAP and POP3. mailbox, which forks them and hears of those that idle, is asked over
 * its public socket; it answers root and the owner of a private instance. */
#include "tern.h"

#include "ipc.h"
#include "log_text.h"
#include "memory.h"

#include <jansson.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 60000 /* ms */

static int connect_mailbox(const struct tern *tern) {
    struct failure failure = {0};
    struct config *config = tern_load(tern);
    struct buf path = buf_make(4096);
    if (!config) return -1;
    buf_printf(&path, "%.*s/public/mailbox", STR_ARGS(config->queue_directory));
    int socket = ipc_connect_path(buf_string(&path), &failure);
    if (socket < 0) tern_complain("mailbox cannot be asked: %s (is tern running?)", failure.text);
    buf_free(&path);
    config_free(&config);
    return socket;
}

/* What FAILED says, as a failure. */
static bool ask(int socket, enum ipc_type type, const void *message, enum ipc_type expected, struct arena *arena,
                struct ipc_reply *reply, struct failure *failure) {
    enum ipc_result result = ipc_ask_blocking(socket, type, message, -1, expected, PATIENCE, arena, reply, failure);
    if (result != IPC_REFUSED) return result == IPC_OK;
    const struct ipc_failed *failed = reply->message;
    return failure_set(failure, "%.*s", STR_ARGS(failed->text));
}

static void show_date(uint64_t date, char text[40]) {
    struct tm fields;
    time_t when = (time_t)date;
    if (!localtime_r(&when, &fields) || strftime(text, 40, "%Y-%m-%d %H:%M:%S", &fields) == 0)
        snprintf(text, 40, "%llu", (unsigned long long)date);
}

static void show(const struct ipc_session_row *row, json_t *array) {
    char login[1100], date[40], process[24] = "idle";
    log_text(login, sizeof login, row->login);
    if (array) {
        json_array_append_new(array, json_pack("{s:s, s:s%, s:s%, s:s%, s:I, s:b, s:I}", "user", login, "address",
                                               row->client_address.data, row->client_address.length, "protocol",
                                               row->protocol.data, row->protocol.length, "session", row->session.data,
                                               row->session.length, "since", (json_int_t)row->begun, "idle",
                                               row->process == 0, "pid", (json_int_t)row->process));
        return;
    }
    show_date(row->begun, date);
    if (row->process) snprintf(process, sizeof process, "%llu", (unsigned long long)row->process);
    printf("%-30s %-5.*s %-20.*s since %s  %-8s %.*s\n", login, STR_ARGS(row->protocol), STR_ARGS(row->client_address),
           date, process, STR_ARGS(row->session));
}

static bool show_all(int socket, const char *user, json_t *array, struct failure *failure) {
    char cursor[301] = "";
    bool more = true, good = true;
    while (good && more) {
        struct arena *arena = arena_create(0);
        struct ipc_session_list question = {.after = str_from(cursor)};
        struct ipc_reply reply = {.descriptor = -1};
        struct ipc_session_row row;
        size_t offset = 0;
        bool bad = false;
        good = ask(socket, IPC_SESSION_LIST, &question, IPC_SESSION_LISTED, arena, &reply, failure);
        const struct ipc_session_listed *listed = reply.message;
        while (good && ipc_list_next(listed->sessions, IPC_ROW_SESSION_ROW, &offset, &row, &bad))
            if (!user || str_equal_nocase(row.login, str_from(user))) show(&row, array);
        if (good) {
            more = listed->more;
            snprintf(cursor, sizeof cursor, "%.*s", STR_ARGS(listed->cursor));
        }
        arena_destroy(&arena);
    }
    return good;
}

/* --json may stand first. */
static bool take_json(char ***words, int *count) {
    bool json = *count > 0 && strcmp((*words)[0], "--json") == 0;
    *words += json;
    *count -= json;
    return json;
}

static int finish(bool good, json_t *json, const struct failure *failure) {
    if (!good) tern_complain("%s", failure->text);
    if (good && json) {
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(json);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int tern_who(const struct tern *tern) {
    char **words = tern->arguments;
    int count = tern->argument_count;
    bool json = take_json(&words, &count);
    struct failure failure = {0};
    if (count > 1 || (count == 1 && words[0][0] == '-')) {
        tern_complain("usage: tern who [--json] [USER]");
        return 64;
    }
    int socket = connect_mailbox(tern);
    if (socket < 0) return EXIT_FAILURE;
    json_t *array = json ? json_array() : NULL;
    bool good = show_all(socket, count ? words[0] : NULL, array, &failure);
    close(socket);
    return finish(good, array, &failure);
}

static bool is_session(struct str word) {
    for (size_t i = 0; i < word.length; i++)
        if (!ascii_is_digit(word.data[i]) && (word.data[i] < 'a' || word.data[i] > 'f')) return false;
    return word.length == 16;
}

/* A word of 16 hexadecimal digits is a session. */
int tern_kick(const struct tern *tern) {
    char **words = tern->arguments;
    int count = tern->argument_count;
    bool json = take_json(&words, &count);
    struct failure failure = {0};
    if (count != 1 || words[0][0] == '\0' || words[0][0] == '-') {
        tern_complain("usage: tern kick [--json] USER|SESSION");
        return 64;
    }
    int socket = connect_mailbox(tern);
    if (socket < 0) return EXIT_FAILURE;
    struct str word = str_from(words[0]);
    bool session = is_session(word);
    struct ipc_session_kick wish = {.login = session ? STR_EMPTY : word, .session = session ? word : STR_EMPTY};
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    bool good = ask(socket, IPC_SESSION_KICK, &wish, IPC_SESSION_KICKED, arena, &reply, &failure);
    json_int_t kicked = good ? (json_int_t)((const struct ipc_session_kicked *)reply.message)->count : 0;
    if (good && !json) printf("%lld\n", (long long)kicked);
    int status = finish(good, json ? json_pack("{s:I}", "kicked", kicked) : NULL, &failure);
    arena_destroy(&arena);
    close(socket);
    return status == EXIT_SUCCESS && kicked == 0 ? EXIT_FAILURE : status;
}
