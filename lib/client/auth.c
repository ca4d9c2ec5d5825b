/* Asking auth: see auth.h. */
#include "auth.h"
#include "hash.h"

#define MECHANISMS_KEPT 60000 /* ms */
#define PRESENCE_TIME   3000  /* ms that an auth process that does not start is waited for */
#define ABSENCE_TIME    2000  /* ms after which it is looked for again */
#define CACHE_MAX       64    /* kinds of clients: protocol and three flags */

struct kept_mechanisms {
    deadline expires;
    char *names;
};

struct auth_client {
    struct ipc_client *auth;
    struct map *mechanisms;
    uint64_t last_exchange;
    deadline absent_until; /* it did not answer: nobody waits for it again before */
};

static void forget_mechanisms(void *context) {
    struct auth_client *client = context;
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(client->mechanisms, &cursor, &key, &value)) {
        struct kept_mechanisms *kept = value;
        MEMORY_FREE(kept->names);
        MEMORY_FREE(kept);
    }
    map_destroy(&client->mechanisms);
    client->mechanisms = map_create();
}

struct auth_client *auth_client_create(struct service *service) {
    struct auth_client *client = MEMORY_NEW(struct auth_client);
    client->auth = service_client(service, "auth", NULL, NULL);
    client->mechanisms = map_create();
    if (client->auth) ipc_client_on_loss(client->auth, forget_mechanisms, client);
    return client;
}

static enum ipc_result ask(struct auth_client *client, enum ipc_type type, const void *message, enum ipc_type expected,
                           deadline until, struct arena *arena, struct ipc_reply *reply) {
    struct failure failure;
    if (!client->auth) return IPC_UNREACHABLE;
    return ipc_ask(client->auth, type, message, -1, expected, until, arena, reply, &failure);
}

/* ---- mechanisms */

static struct str remember(struct auth_client *client, struct str key, struct str names, struct arena *arena) {
    struct kept_mechanisms *kept = map_get(client->mechanisms, key);
    struct str copy = STR_EMPTY;
    if (!kept) {
        if (map_count(client->mechanisms) >= CACHE_MAX) forget_mechanisms(client);
        kept = MEMORY_NEW(struct kept_mechanisms);
        map_put(client->mechanisms, key, kept);
    }
    MEMORY_FREE(kept->names);
    kept->names = memory_copy_string(names);
    kept->expires = deadline_in(MECHANISMS_KEPT);
    return arena_copy(arena, names, &copy) ? copy : STR_EMPTY;
}

/* Asks for what is not known. This is also how it is seen soon that there is no auth: who waits for a password
 * to be looked at waits for longer. */
static struct str find_out(struct auth_client *client, const struct ipc_auth_mechanisms *question, struct str key,
                           deadline until, struct arena *arena) {
    struct ipc_reply reply = {.descriptor = -1};
    deadline soon = deadline_in(PRESENCE_TIME);
    if (deadline_left(client->absent_until) > 0) return (struct str){NULL, 0};
    if (ask(client, IPC_AUTH_MECHANISMS, question, IPC_AUTH_MECHANISMS_GIVEN, soon < until ? soon : until, arena,
            &reply) == IPC_OK)
        return remember(client, key, ((const struct ipc_auth_mechanisms_given *)reply.message)->mechanisms, arena);
    client->absent_until = deadline_in(ABSENCE_TIME);
    return (struct str){NULL, 0};
}

struct str auth_mechanisms(struct auth_client *client, const struct auth_subject *subject, deadline until,
                           struct arena *arena) {
    struct ipc_auth_mechanisms question = {.protocol = subject->protocol,
                                           .encrypted = subject->encrypted,
                                           .binding = subject->exporter.length || subject->end_point.length,
                                           .certificate = subject->certificate.length > 0};
    struct buf key = buf_make(100);
    struct str names = STR_EMPTY;
    buf_printf(&key, "%d%d%d%.*s", question.encrypted, question.binding, question.certificate,
               STR_ARGS(question.protocol));
    const struct kept_mechanisms *kept = map_get(client->mechanisms, buf_str(&key));
    if (!kept || deadline_left(kept->expires) == 0)
        names = find_out(client, &question, buf_str(&key), until, arena);
    else if (!arena_copy(arena, str_from(kept->names), &names))
        names = STR_EMPTY;
    buf_free(&key);
    return names;
}

/* ---- exchanges */

static void say_later(struct auth_result *result, struct str text) {
    *result = (struct auth_result){.outcome = AUTH_LATER,
                                   .data = STR_EMPTY,
                                   .login = STR_EMPTY,
                                   .reply_code = 454,
                                   .status = STR("4.7.0"),
                                   .text = text};
}

/* Postfix's words, which fail2ban knows. */
static void say_absent(struct auth_result *result) {
    say_later(result, STR("Connection lost to authentication server"));
}

static void take_answer(const struct ipc_auth_answer *answer, struct auth_result *result) {
    *result = (struct auth_result){.outcome = (enum auth_outcome)answer->outcome,
                                   .data = answer->data,
                                   .login = answer->login,
                                   .fields = answer->fields,
                                   .reply_code = (unsigned)answer->reply_code,
                                   .status = answer->status,
                                   .text = answer->text};
    /* Auth is believed in what it decides, not in how it numbers it. */
    bool is_reply = answer->reply_code >= 400 && answer->reply_code <= 599 && answer->status.length > 0;
    if (result->outcome > AUTH_LATER ||
        ((result->outcome == AUTH_DENIED || result->outcome == AUTH_LATER) && !is_reply) ||
        (result->outcome == AUTH_GRANTED && answer->login.length == 0))
        say_later(result, STR("temporary authentication failure"));
}

static void advance(struct auth_client *client, enum ipc_type type, const void *message, deadline until,
                    struct arena *arena, struct auth_result *result) {
    struct ipc_reply reply = {.descriptor = -1};
    if (ask(client, type, message, IPC_AUTH_ANSWER, until, arena, &reply) == IPC_OK)
        take_answer(reply.message, result);
    else
        say_absent(result);
}

void auth_begin(struct auth_client *client, const struct auth_subject *subject, const struct auth_opening *opening,
                deadline until, struct arena *arena, uint64_t *exchange, struct auth_result *result) {
    struct ipc_auth_begin question = {.exchange = ++client->last_exchange,
                                      .mechanism = opening->mechanism,
                                      .has_initial = opening->has_initial,
                                      .initial = opening->initial,
                                      .protocol = subject->protocol,
                                      .client_address = subject->client_address,
                                      .client_name = subject->client_name,
                                      .local_name = subject->local_name,
                                      .realm = subject->realm,
                                      .encrypted = subject->encrypted,
                                      .exporter = subject->exporter,
                                      .end_point = subject->end_point,
                                      .certificate = subject->certificate};
    *exchange = question.exchange;
    if (!auth_mechanisms(client, subject, until, arena).data) {
        say_absent(result);
        return;
    }
    advance(client, IPC_AUTH_BEGIN, &question, until, arena, result);
}

void auth_respond(struct auth_client *client, uint64_t exchange, struct str response, deadline until,
                  struct arena *arena, struct auth_result *result) {
    struct ipc_auth_response question = {.exchange = exchange, .response = response};
    advance(client, IPC_AUTH_RESPONSE, &question, until, arena, result);
}

void auth_cancel(struct auth_client *client, uint64_t exchange) {
    struct ipc_auth_cancel message = {.exchange = exchange};
    struct failure failure;
    /* Auth forgets exchanges by itself when they take too long. */
    if (client->auth && ipc_tell(client->auth, IPC_AUTH_CANCEL, &message, deadline_in(1000), &failure) != IPC_OK)
        return;
}
