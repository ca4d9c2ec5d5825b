/* tern auth: failed logins and passwords.
 *
 *   bans                                        who is kept out, why, until when
 *   ban account|address NAME [TIME [REASON]]    keep somebody out
 *   unban account|address NAME, unban all       let in again, and forget what was counted
 *   test USER                                   is this USER's password (by standard input)
 *   hash [SCHEME]                               a password (by standard input) as passwd-files have it
 *
 * All but hash ask the running auth daemon over its public socket, which answers root and mail_owner. */
#include "tern.h"

#include "auth.h"
#include "base64.h"
#include "config_value.h"
#include "ipc.h"
#include "log_text.h"
#include "memory.h"
#include "password_hash.h"
#include "sasl_prepare.h"

#include <jansson.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE       60000 /* ms */
#define PASSWORD_LIMIT 1030
#define BAN_TIME       "1d"

struct request {
    const struct tern *tern;
    int count;
    char **words; /* after the verb */
    bool json;
    int socket; /* to auth; -1 for hash */
};

static int usage(void) {
    tern_complain(
        "usage: tern auth [--json] bans | ban account|address NAME [TIME [REASON]] | unban account|address NAME "
        "| unban all | test USER | hash [SCHEME]");
    return 64;
}

static int complain(const struct failure *failure) {
    tern_complain("%s", failure->text);
    return EXIT_FAILURE;
}

/* What FAILED says, as a failure. */
static bool ask(const struct request *request, enum ipc_type type, const void *message, enum ipc_type expected,
                struct arena *arena, struct ipc_reply *reply, struct failure *failure) {
    enum ipc_result result =
        ipc_ask_blocking(request->socket, type, message, -1, expected, PATIENCE, arena, reply, failure);
    if (result != IPC_REFUSED) return result == IPC_OK;
    const struct ipc_failed *failed = reply->message;
    return failure_set(failure, "%.*s", STR_ARGS(failed->text));
}

/* ---- bans */

static const char *kind_word(uint64_t kind) {
    return kind == AUTH_BAN_ADDRESS ? "address" : "account";
}

static void show_date(uint64_t date, char *text, size_t size) {
    struct tm fields;
    time_t when = (time_t)date;
    if (!localtime_r(&when, &fields) || strftime(text, size, "%Y-%m-%d %H:%M:%S", &fields) == 0)
        snprintf(text, size, "%llu", (unsigned long long)date);
}

static void show_ban(const struct ipc_auth_ban *ban, json_t *array) {
    char subject[300], reason[300], ends[40];
    log_text(subject, sizeof subject, ban->subject);
    log_text(reason, sizeof reason, ban->reason);
    if (array) {
        json_array_append_new(array,
                              json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "kind", kind_word(ban->kind), "subject",
                                        subject, "reason", reason, "failures", (json_int_t)ban->failures, "begun",
                                        (json_int_t)ban->begun, "ends", (json_int_t)ban->ends));
        return;
    }
    show_date(ban->ends, ends, sizeof ends);
    printf("%-8s %-40s until %s  %llu wrong: %s\n", kind_word(ban->kind), subject, ends,
           (unsigned long long)ban->failures, reason);
}

static bool show_bans(const struct request *request, json_t *array, struct failure *failure) {
    char cursor[301] = "";
    bool more = true, good = true;
    while (good && more) {
        struct arena *arena = arena_create(0);
        struct ipc_auth_bans question = {.after = str_from(cursor)};
        struct ipc_reply reply = {.descriptor = -1};
        struct ipc_auth_ban ban;
        size_t offset = 0;
        bool bad = false;
        good = ask(request, IPC_AUTH_BANS, &question, IPC_AUTH_BANS_GIVEN, arena, &reply, failure);
        const struct ipc_auth_bans_given *given = reply.message;
        while (good && ipc_list_next(given->bans, IPC_ROW_AUTH_BAN, &offset, &ban, &bad))
            show_ban(&ban, array);
        if (good) {
            more = given->more;
            snprintf(cursor, sizeof cursor, "%.*s", STR_ARGS(given->cursor));
        }
        arena_destroy(&arena);
    }
    return good;
}

static int auth_bans(const struct request *request) {
    struct failure failure = {0};
    if (request->count != 0) return usage();
    json_t *array = request->json ? json_array() : NULL;
    bool good = show_bans(request, array, &failure);
    if (good && array) {
        json_dumpf(array, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(array);
    return good ? EXIT_SUCCESS : complain(&failure);
}

static bool change(const struct request *request, const struct ipc_auth_ban_change *wish, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    bool good = ask(request, IPC_AUTH_BAN_CHANGE, wish, IPC_DONE, arena, &reply, failure);
    arena_destroy(&arena);
    return good;
}

static bool read_kind(const char *word, uint64_t *kind) {
    if (strcmp(word, "account") == 0)
        *kind = AUTH_BAN_ACCOUNT;
    else if (strcmp(word, "address") == 0)
        *kind = AUTH_BAN_ADDRESS;
    else
        return false;
    return true;
}

static int auth_ban(const struct request *request) {
    struct ipc_auth_ban_change wish = {.reason = STR_EMPTY};
    struct failure failure = {0};
    int64_t seconds = 0;
    if (request->count < 2 || request->count > 4 || !read_kind(request->words[0], &wish.kind)) return usage();
    const char *length = request->count > 2 ? request->words[2] : BAN_TIME;
    if (!config_value_time(str_from(length), 's', &seconds) || seconds <= 0 || seconds > UINT32_MAX) {
        tern_complain("%s is no time such as 30m or 2d", length);
        return 64;
    }
    wish.subject = str_from(request->words[1]);
    wish.seconds = (uint64_t)seconds;
    if (request->count == 4) wish.reason = str_slice(str_from(request->words[3]), 0, 200);
    return change(request, &wish, &failure) ? EXIT_SUCCESS : complain(&failure);
}

static int auth_unban(const struct request *request) {
    struct ipc_auth_ban_change wish = {.lift = true, .reason = STR_EMPTY, .subject = STR_EMPTY};
    struct failure failure = {0};
    if (request->count == 1 && strcmp(request->words[0], "all") == 0) {
        bool good = change(request, &wish, &failure);
        wish.kind = AUTH_BAN_ADDRESS;
        return good && change(request, &wish, &failure) ? EXIT_SUCCESS : complain(&failure);
    }
    if (request->count != 2 || !read_kind(request->words[0], &wish.kind)) return usage();
    wish.subject = str_from(request->words[1]);
    return change(request, &wish, &failure) ? EXIT_SUCCESS : complain(&failure);
}

/* ---- passwords */

static void show_login(const struct request *request, const struct ipc_auth_answer *answer) {
    char text[300];
    bool right = answer->outcome == AUTH_GRANTED;
    json_t *fields = json_object();
    struct ipc_auth_field field;
    size_t offset = 0;
    bool bad = false;
    if (!request->json) printf("%s\n", log_text(text, sizeof text, right ? answer->login : answer->text));
    while (ipc_list_next(answer->fields, IPC_ROW_AUTH_FIELD, &offset, &field, &bad)) {
        char name[70], value[1100];
        log_text(name, sizeof name, field.name);
        log_text(value, sizeof value, field.value);
        json_object_set_new(fields, name, json_string(value));
        if (!request->json) printf("  %s=%s\n", name, value);
    }
    if (request->json) {
        json_t *object =
            json_pack("{s:b, s:s, s:s, s:O}", "right", right, "login", log_text(text, sizeof text, answer->login),
                      "text", log_text((char[320]){0}, 320, answer->text), "fields", fields);
        json_dumpf(object, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(object);
    }
    json_decref(fields);
}

/* By PLAIN, as a client would; what an operator tries counts nowhere. */
static int auth_test(const struct request *request) {
    char password[PASSWORD_LIMIT];
    struct failure failure = {0};
    struct buf initial = buf_make(12288);
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    if (request->count != 1) return usage();
    bool good = user_read_password(password, sizeof password, &failure);
    if (good) {
        buf_append_char(&initial, '\0');
        buf_append(&initial, str_from(request->words[0]));
        buf_append_char(&initial, '\0');
        buf_append(&initial, str_from(password));
    }
    struct ipc_auth_begin begin = {.exchange = 1,
                                   .mechanism = STR("PLAIN"),
                                   .has_initial = true,
                                   .initial = buf_str(&initial),
                                   .protocol = STR("test"),
                                   .client_address = STR_EMPTY,
                                   .client_name = STR("operator"),
                                   .local_name = STR_EMPTY,
                                   .realm = STR_EMPTY,
                                   .encrypted = true,
                                   .exporter = STR_EMPTY,
                                   .end_point = STR_EMPTY,
                                   .certificate = STR_EMPTY};
    good = good && ask(request, IPC_AUTH_BEGIN, &begin, IPC_AUTH_ANSWER, arena, &reply, &failure);
    int status = good ? EXIT_FAILURE : complain(&failure);
    if (good) {
        const struct ipc_auth_answer *answer = reply.message;
        show_login(request, answer);
        if (answer->outcome == AUTH_GRANTED) status = EXIT_SUCCESS;
    }
    memory_wipe(password, sizeof password);
    buf_free_secret(&initial);
    arena_destroy(&arena);
    return status;
}

static int auth_hash(const struct request *request) {
    char password[PASSWORD_LIMIT];
    struct failure failure = {0};
    struct buf prepared = buf_make(SASL_PREPARE_MAX), secret = buf_make(0);
    if (request->count > 1) return usage();
    const char *scheme = request->count ? request->words[0] : "CRYPT";
    bool good = user_read_password(password, sizeof password, &failure);
    struct str text = good && sasl_prepare(str_from(password), &prepared) ? buf_str(&prepared) : str_from(password);
    good = good && password_hash_make(str_from(scheme), text, &secret, &failure);
    if (good)
        printf("%s\n", buf_string(&secret));
    else
        tern_complain("%s (schemes: %.*s)", failure.text, STR_ARGS(password_hash_schemes()));
    memory_wipe(password, sizeof password);
    buf_free_secret(&prepared);
    buf_free_secret(&secret);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command line */

static const struct verb {
    const char *name;
    int (*function)(const struct request *request);
    bool asks; /* the daemon */
} verbs[] = {
    {"bans", auth_bans, true}, {"ban", auth_ban, true},    {"unban", auth_unban, true},
    {"test", auth_test, true}, {"hash", auth_hash, false},
};

static bool connect_auth(struct request *request) {
    struct failure failure = {0};
    struct config *config = tern_load(request->tern);
    struct buf path = buf_make(4096);
    if (!config) return false;
    buf_printf(&path, "%.*s/public/auth", STR_ARGS(config->queue_directory));
    request->socket = ipc_connect_path(buf_string(&path), &failure);
    if (request->socket < 0) tern_complain("auth cannot be asked: %s (is tern running?)", failure.text);
    buf_free(&path);
    config_free(&config);
    return request->socket >= 0;
}

int tern_auth(const struct tern *tern) {
    struct request request = {.tern = tern, .count = tern->argument_count, .words = tern->arguments, .socket = -1};
    while (request.count > 0 && strcmp(request.words[0], "--json") == 0) {
        request.json = true;
        request.words++;
        request.count--;
    }
    if (request.count < 1) return usage();
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
        if (strcmp(request.words[0], verbs[i].name) != 0) continue;
        request.words++;
        request.count--;
        if (verbs[i].asks && !connect_auth(&request)) return EXIT_FAILURE;
        int status = verbs[i].function(&request);
        if (request.socket >= 0) close(request.socket);
        return status;
    }
    return usage();
}
