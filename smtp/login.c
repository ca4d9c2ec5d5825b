/* See login.h. The mechanisms are lib/mail/sasl_client.c, tokens access_token.c. */
#include "login.h"
#include "access_token.h"
#include "base64.h"
#include "hash.h"
#include "log.h"
#include "log_text.h"
#include "sasl_client.h"
#include "service.h"
#include "smtp.h"
#include <errno.h>
#include <openssl/evp.h>
#include <sys/random.h>

#define LOOKUP_PATIENCE 60000 /* ms */
#define REFUSALS_MOST   1000
#define STEPS_MOST      10 /* challenges of one exchange */
#define NONCE_OCTETS    18

/* ---- accounts that were refused for good */

struct refusal_note {
    deadline until;
    char said[400]; /* what the server said */
};

struct login_memory {
    struct map *refusals; /* server and key to refusal_note */
    struct access_tokens *tokens;
};

struct login_memory *login_memory_create(void) {
    struct login_memory *memory = MEMORY_NEW(struct login_memory);
    memory->refusals = map_create();
    memory->tokens = access_tokens_create();
    return memory;
}

static void refusal_key(const struct connection *connection, const struct login *login, struct buf *key) {
    buf_append(key, str_from(connection->relay));
    buf_append_char(key, '\n');
    for (size_t i = 0; i < sizeof login->key; i++)
        buf_printf(key, "%02x", login->key[i]);
}

static void remember_refusal(const struct connection *connection, const struct login *login, struct str said) {
    const struct sasl_settings *settings = &connection->smtp->settings.sasl;
    struct map *refusals = connection->smtp->logins->refusals;
    struct buf key = buf_make(0);
    if (!settings->remember) return;
    refusal_key(connection, login, &key);
    struct refusal_note *note = map_get(refusals, buf_str(&key));
    if (!note && map_count(refusals) < REFUSALS_MOST) {
        note = MEMORY_NEW(struct refusal_note);
        map_put(refusals, buf_str(&key), note);
    }
    if (note) {
        note->until = deadline_in(settings->remember_time);
        snprintf(note->said, sizeof note->said, "%.*s", STR_ARGS(said));
    }
    buf_free(&key);
}

/* NULL: none, or its time is over. */
static const struct refusal_note *recall_refusal(const struct connection *connection, const struct login *login) {
    struct map *refusals = connection->smtp->logins->refusals;
    struct buf key = buf_make(0);
    if (!connection->smtp->settings.sasl.remember) return NULL;
    refusal_key(connection, login, &key);
    struct refusal_note *note = map_get(refusals, buf_str(&key));
    if (note && deadline_left(note->until) == 0) {
        map_remove(refusals, buf_str(&key));
        MEMORY_FREE(note); /* and forgets it here */
    }
    buf_free(&key);
    return note;
}

/* ---- which account */

static void make_key(struct login *login) {
    struct buf all = buf_make(0);
    buf_append(&all, buf_str(&login->user));
    buf_append_char(&all, '\0');
    buf_append(&all, buf_str(&login->password));
    buf_append_char(&all, '\0');
    buf_append(&all, buf_str(&login->grant));
    if (EVP_Digest(all.data, all.length, login->key, NULL, EVP_sha256(), NULL) != 1) memory_exhausted(0);
    buf_free_secret(&all);
}

static void keep(struct login *login, const struct ipc_lookup_credentials_given *given) {
    login->wanted = given->found;
    if (!given->found) return;
    buf_append(&login->user, given->user);
    buf_append(&login->password, given->password);
    buf_append(&login->grant, given->grant);
    make_key(login);
}

static void wipe(struct str secret) {
    if (secret.length) memory_wipe((void *)(uintptr_t)secret.data, secret.length);
}

bool login_prepare(struct smtp *smtp, struct str host, struct str next_hop, struct str sender, struct arena *arena,
                   struct login *login, struct trouble *trouble) {
    const struct sasl_settings *settings = &smtp->settings.sasl;
    *login = (struct login){.user = buf_make(0), .password = buf_make(0), .grant = buf_make(0)};
    if (!settings->enable || !smtp->lookup) return true;
    struct ipc_lookup_credentials question = {.lmtp = smtp->settings.lmtp,
                                              .host = str_slice(host, 0, 256),
                                              .nexthop = next_hop,
                                              .sender = settings->by_sender ? sender : STR_EMPTY};
    struct arena *own = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    enum ipc_result result = ipc_ask(smtp->lookup, IPC_LOOKUP_CREDENTIALS, &question, -1, IPC_LOOKUP_CREDENTIALS_GIVEN,
                                     deadline_in(LOOKUP_PATIENCE), own, &reply, &failure);
    if (result == IPC_OK) {
        const struct ipc_lookup_credentials_given *given = reply.message;
        keep(login, given);
        wipe(given->password);
        wipe(given->grant);
    } else {
        const struct ipc_failed *failed = result == IPC_REFUSED ? reply.message : NULL;
        struct str why = failed ? failed->text : str_from(failure.text);
        trouble_set(trouble, arena, "4.3.0", "the account for %.*s cannot be looked up: %.*s",
                    STR_ARGS(str_slice(host, 0, 200)), STR_ARGS(why));
        trouble->local = true;
    }
    arena_destroy(&own);
    return result == IPC_OK;
}

void login_free(struct login *login) {
    buf_free(&login->user);
    buf_free_secret(&login->password);
    buf_free_secret(&login->grant);
}

/* ---- the exchange */

struct exchange {
    struct connection *connection;
    const struct login *login;
    struct arena *arena;
    struct trouble *trouble;
    struct sasl_client *client;
};

static bool lost(const struct exchange *exchange) {
    trouble_from_loss(exchange->trouble, exchange->arena, exchange->connection, STAGE_AUTH);
    return false;
}

/* Says a line and reads the answer. The line may hold a secret: it is wiped. */
static bool say(const struct exchange *exchange, struct buf *line) {
    struct connection *connection = exchange->connection;
    int64_t timeout = connection->smtp->settings.helo_timeout;
    buf_append(line, STR("\r\n"));
    stream_set_deadline(connection->stream, deadline_in(timeout));
    enum stream_result result = stream_write(connection->stream, buf_str(line));
    if (result == STREAM_OK) result = stream_flush(connection->stream);
    memory_wipe(line->data, line->length);
    buf_clear(line);
    if (result != STREAM_OK) {
        connection_lost(connection, result);
        return lost(exchange);
    }
    return connection_read_reply(connection, timeout) || lost(exchange);
}

static bool cannot(const struct exchange *exchange, const char *why) {
    trouble_set(exchange->trouble, exchange->arena, "4.7.0",
                "SASL authentication failed; cannot authenticate to server %s: %s", exchange->connection->peer, why);
    trouble_name_host(exchange->trouble, exchange->arena, exchange->connection);
    return false;
}

/* The server has said no; what it said is for the log and, if mail is returned, for the sender. */
static bool refused(const struct exchange *exchange, const char *word, struct str said, struct status_code status) {
    bool soft = exchange->connection->smtp->settings.sasl.soft_bounce;
    char code[16];
    if (status.class == 5 && soft) status.class = 4;
    snprintf(code, sizeof code, "%u.%u.%u", status.class, status.subject, status.detail);
    trouble_set(exchange->trouble, exchange->arena, code, "SASL%s authentication failed; server %s said: %.*s", word,
                exchange->connection->peer, STR_ARGS(said));
    trouble_name_host(exchange->trouble, exchange->arena, exchange->connection);
    exchange->trouble->diagnostic = trouble_keep(exchange->arena, said);
    return false;
}

static bool refused_by_reply(const struct exchange *exchange) {
    const struct connection *connection = exchange->connection;
    struct buf whole = buf_make(0), said = buf_make(0);
    struct status_code status = smtp_reply_status(&connection->reply);
    smtp_reply_append_line(&whole, &connection->reply);
    log_text_append(&said, buf_str(&whole), 400);
    if (status.subject == 0) status = (struct status_code){status.class, 7, 8};
    if (connection->reply.code == 535) {
        remember_refusal(connection, exchange->login, buf_str(&said));
        access_token_forget(connection->smtp->logins->tokens, buf_str(&exchange->login->grant));
    }
    bool good = refused(exchange, "", buf_str(&said), status);
    buf_free(&whole);
    buf_free(&said);
    return good;
}

/* A challenge's text, decoded. */
static bool read_challenge(const struct exchange *exchange, struct buf *challenge) {
    struct str text = str_trim(buf_str(&exchange->connection->reply.text));
    buf_clear(challenge);
    return exchange->connection->reply.lines == 1 && base64_decode(challenge, text);
}

/* Gives the exchange up; the server's answer to that matters to nobody. */
static bool give_up(const struct exchange *exchange, const char *why) {
    struct buf line = buf_make(0);
    buf_append_char(&line, '*');
    bool heard = say(exchange, &line);
    buf_free(&line);
    return heard && cannot(exchange, why);
}

static bool answer_challenge(const struct exchange *exchange) {
    struct buf challenge = buf_make(SASL_CHALLENGE_MAX), response = buf_make(0), line = buf_make(0);
    struct failure failure = {0};
    bool good = read_challenge(exchange, &challenge)
                    ? sasl_client_answer(exchange->client, buf_str(&challenge), &response, &failure)
                    : failure_set(&failure, "a challenge that is not base64");
    if (good) {
        base64_encode(&line, buf_str(&response));
        good = say(exchange, &line);
    } else {
        good = give_up(exchange, failure.text);
    }
    buf_free_secret(&challenge);
    buf_free_secret(&response);
    buf_free_secret(&line);
    return good;
}

static bool converse(const struct exchange *exchange, const struct sasl_mechanism *mechanism) {
    struct connection *connection = exchange->connection;
    struct buf line = buf_make(0), response = buf_make(0);
    struct failure failure = {0};
    buf_printf(&line, "AUTH %s", sasl_mechanism_name(mechanism));
    if (sasl_mechanism_begins(mechanism)) {
        sasl_client_begin(exchange->client, &response);
        buf_append_char(&line, ' ');
        base64_encode(&line, buf_str(&response));
    }
    bool good = say(exchange, &line);
    for (unsigned step = 0; good && connection->reply.code == 334; step++)
        good = step < STEPS_MOST ? answer_challenge(exchange) : give_up(exchange, "it asks again and again");
    if (good && connection->reply.code / 100 != 2) good = refused_by_reply(exchange);
    if (good && !sasl_client_accept(exchange->client, &failure)) good = cannot(exchange, failure.text);
    buf_free_secret(&response);
    buf_free_secret(&line);
    return good;
}

/* ---- what it is run with */

static bool make_nonce(struct buf *nonce) {
    unsigned char random[NONCE_OCTETS];
    return getrandom(random, sizeof random, 0) == (ssize_t)sizeof random &&
           base64_encode(nonce, str_make((const char *)random, sizeof random));
}

static bool is_encrypted(const struct connection *connection) {
    return connection->tls != NULL;
}

static bool is_verified(const struct connection *connection) {
    return connection->tls && tls_connection_facts(connection->tls)->matched;
}

static void find_bindings(const struct connection *connection, uint8_t exporter[32], uint8_t end_point[64],
                          struct sasl_binding *binding) {
    size_t exporter_length = 0, end_point_length = 0;
    binding->possible = is_encrypted(connection);
    if (!binding->possible) return;
    tls_channel_bindings(connection->tls, exporter, &exporter_length, end_point, &end_point_length);
    binding->exporter = str_make((const char *)exporter, exporter_length);
    binding->end_point = str_make((const char *)end_point, end_point_length);
}

static unsigned security_of(const struct connection *connection) {
    const struct sasl_settings *settings = &connection->smtp->settings.sasl;
    if (!is_encrypted(connection)) return settings->security;
    return is_verified(connection) ? settings->tls_verified_security : settings->tls_security;
}

/* The password, or the access token that the grant is good for. */
static bool get_secret(const struct exchange *exchange, struct buf *secret) {
    struct failure failure = {0};
    const struct login *login = exchange->login;
    if (login->grant.length == 0) return buf_append(secret, buf_str(&login->password));
    if (access_token_get(exchange->connection->smtp, exchange->connection->smtp->logins->tokens, buf_str(&login->grant),
                         secret, &failure))
        return true;
    trouble_set(exchange->trouble, exchange->arena, "4.7.0",
                "SASL authentication failed; no access token for server %s: %s", exchange->connection->peer,
                failure.text);
    trouble_name_host(exchange->trouble, exchange->arena, exchange->connection);
    return false;
}

static bool run_with(struct exchange *exchange, const struct sasl_mechanism *mechanism, const struct host *host,
                     const struct sasl_binding *binding) {
    struct buf secret = buf_make(0), nonce = buf_make(0);
    bool good = make_nonce(&nonce) || cannot(exchange, "no random numbers are to be had");
    if (good && get_secret(exchange, &secret)) {
        const struct sasl_credentials credentials = {
            .user = buf_str(&exchange->login->user),
            .password = buf_str(&secret),
            .token = exchange->login->grant.length > 0,
            .host = host->name,
            .port = endpoint_is_local(&host->endpoint) ? (uint16_t)0 : endpoint_port(&host->endpoint)};
        exchange->client = sasl_client_create(mechanism, &credentials, binding, buf_str(&nonce));
        good = converse(exchange, mechanism);
        sasl_client_free(&exchange->client);
    } else {
        good = false;
    }
    buf_free_secret(&secret);
    buf_free(&nonce);
    return good;
}

bool login_run(struct connection *connection, const struct login *login, const struct host *host, struct arena *arena,
               struct trouble *trouble) {
    struct exchange exchange = {.connection = connection, .login = login, .arena = arena, .trouble = trouble};
    uint8_t exporter[32], end_point[64];
    struct sasl_binding binding = {.exporter = STR_EMPTY, .end_point = STR_EMPTY};
    memcpy(connection->login_key, login->key, sizeof connection->login_key);
    if (!login->wanted || !(connection->ehlo.extensions & SMTP_EXTENSION_AUTH)) return true;
    const struct refusal_note *note = recall_refusal(connection, login);
    if (note) return refused(&exchange, " [CACHED]", str_from(note->said), (struct status_code){5, 7, 8});
    find_bindings(connection, exporter, end_point, &binding);
    const struct sasl_mechanism *mechanism =
        sasl_client_choose(connection->ehlo.auth, connection->smtp->settings.sasl.mechanism_filter,
                           security_of(connection), login->grant.length > 0, &binding);
    if (mechanism) return run_with(&exchange, mechanism, host, &binding);
    trouble_set(trouble, arena, "4.7.0",
                "SASL authentication failed: server %s offered no compatible authentication mechanisms for this type "
                "of connection security",
                connection->peer);
    trouble_name_host(trouble, arena, connection);
    return false;
}
