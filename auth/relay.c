/* Exchanges that Dovecot decides. */
#include "relay.h"

#include "auth_daemon.h"
#include "dovecot_client.h"
#include "log.h"
#include "sasl_message.h"

#define RELAY_TIME ((int64_t)30 * 1000)

bool relay_prepare(struct auth *auth, struct failure *failure) {
    const struct config *config = auth->config;
    struct str type = config->smtpd_sasl_type, path = config->smtpd_sasl_path;
    struct buf whole = buf_make(0);
    if (!str_equal_nocase(type, STR("dovecot"))) return true;
    if (path.length == 0) return failure_set(failure, "smtpd_sasl_path: the path of Dovecot's socket is wanted");
    if (path.data[0] != '/') buf_printf(&whole, "%.*s/", STR_ARGS(config->queue_directory));
    buf_append(&whole, path);
    auth->relay = dovecot_client_create(buf_str(&whole));
    buf_free(&whole);
    return true;
}

bool relay_takes(const struct auth *auth, struct str protocol) {
    return auth->relay && str_equal(protocol, STR("smtp"));
}

void relay_mechanisms(const struct auth *auth, bool encrypted, struct buf *names) {
    struct arena *arena = arena_create(4096);
    struct failure failure = {0};
    struct str list;
    if (dovecot_mechanisms(auth->relay, encrypted, deadline_in(RELAY_TIME), arena, &list, &failure))
        buf_append(names, list);
    else
        log_warning("Dovecot's auth service: %s", failure.text);
    arena_destroy(&arena);
}

/* Kept out by address; by account where the name is said at once. */
static bool is_barred(struct exchange *exchange, struct str name, enum exchange_step *step) {
    if (name.length && !login_name(exchange, name, &exchange->user)) exchange->user = STR_EMPTY;
    return login_is_barred(exchange, step);
}

static struct str name_in_plain(const struct exchange *exchange, struct str response) {
    struct sasl_plain plain;
    bool readable = str_equal(exchange->mechanism->name, STR("PLAIN")) && sasl_plain_read(response, &plain);
    return readable ? plain.name : STR_EMPTY;
}

static enum exchange_step judge(struct exchange *exchange, const struct dovecot_answer *answer,
                                const struct failure *failure, struct buf *challenge) {
    enum exchange_step step = STEP_DENIED;
    struct str login = answer->account.login;
    /* Whom it was about, as far as it says: counted and kept out as the name is before it is asked. */
    if (login.length && !login_name(exchange, login, &exchange->user)) exchange->user = login;
    bool decided = answer->outcome != DOVECOT_GO_ON && answer->outcome != DOVECOT_LATER;
    if (decided && login_is_barred(exchange, &step)) return step;
    switch (answer->outcome) {
    case DOVECOT_GO_ON:
        return buf_append(challenge, answer->data) ? STEP_CHALLENGE : login_later(exchange, "a challenge too long");
    case DOVECOT_GRANTED:
        exchange->account = answer->account;
        if (!buf_append(challenge, answer->data)) return login_later(exchange, "an answer too long");
        return login_grant(exchange, STR_EMPTY);
    case DOVECOT_REFUSED:
        return login_wrong(exchange, failure->text[0] ? failure->text : "refused by Dovecot");
    case DOVECOT_DISABLED:
        return login_wrong(exchange, "the account is closed");
    case DOVECOT_LATER:
        break;
    }
    log_warning("Dovecot's auth service: %s", failure->text);
    return login_later(exchange, "Dovecot's auth service does not answer");
}

static enum exchange_step respond(struct exchange *exchange, bool has_response, struct str response,
                                  struct buf *challenge) {
    struct failure failure = {0};
    struct dovecot_answer answer;
    deadline until = deadline_in(RELAY_TIME);
    enum exchange_step step = STEP_DENIED;
    if (is_barred(exchange, name_in_plain(exchange, response), &step)) {
        dovecot_cancel(&exchange->relay);
        return step;
    }
    if (exchange->relay) {
        dovecot_respond(&exchange->relay, response, until, exchange->arena, &answer, &failure);
    } else {
        const struct dovecot_opening opening = {.protocol = exchange->protocol,
                                                .client_address = exchange->client_address,
                                                .encrypted = exchange->encrypted,
                                                .mechanism = exchange->mechanism->name,
                                                .has_initial = has_response,
                                                .initial = response};
        dovecot_begin(exchange->auth->relay, &opening, until, exchange->arena, &exchange->relay, &answer, &failure);
    }
    return judge(exchange, &answer, &failure, challenge);
}

static bool is_available(const struct auth *auth, const struct ipc_auth_mechanisms *client) {
    return relay_takes(auth, client->protocol);
}

const struct mechanism *relay_mechanism(struct str name, struct arena *arena) {
    struct mechanism *mechanism = ARENA_NEW(arena, struct mechanism);
    if (!mechanism || !arena_copy(arena, name, &mechanism->name)) return NULL;
    mechanism->is_available = is_available;
    mechanism->respond = respond;
    return mechanism;
}
