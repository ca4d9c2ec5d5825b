/* mechanism OAUTHBEARER (RFC 7628) and XOAUTH2: a token says who it is; a source verifies it.
 *
 * A token that is not good is answered by a challenge in JSON; the client answers that by an
 * empty response (or %x01), and only then the exchange has failed. */
#include "auth_daemon.h"
#include "log.h"
#include "sasl_message.h"

static bool takes_tokens(const struct auth *auth, const struct ipc_auth_mechanisms *client) {
    (void)client;
    return sources_take_tokens(&auth->sources);
}

/* The name is known before the token is verified, if the client gave one. */
static bool name_user(struct exchange *exchange, struct str name) {
    exchange->user = STR_EMPTY;
    return name.length == 0 || login_name(exchange, name, &exchange->user);
}

static enum source_answer ask_sources(struct exchange *exchange, struct str token, struct failure *failure) {
    struct source_question question = login_question(exchange);
    const struct sources *sources = &exchange->auth->sources;
    for (size_t i = 0; i < sources->count; i++) {
        struct auth_source *source = &sources->list[i];
        struct auth_account account = {.login = STR_EMPTY, .secret = STR_EMPTY, .app_secrets = STR_EMPTY};
        if (!source->type->verify_token) continue;
        enum source_answer answer = source->type->verify_token(source, &question, token, &account, failure);
        if (answer == SOURCE_UNKNOWN) continue;
        exchange->source = source;
        exchange->account = account;
        return answer;
    }
    return SOURCE_UNKNOWN;
}

/* "invalid_token" for OAUTHBEARER; what Google says for XOAUTH2. */
static enum exchange_step refuse(struct exchange *exchange, struct buf *challenge, const char *reason) {
    bool bearer = exchange->mechanism == &mechanism_oauthbearer;
    (void)login_wrong(exchange, reason);
    exchange->state = exchange; /* the next response is the end */
    buf_append(challenge, bearer ? STR("{\"status\":\"invalid_token\"}")
                                 : STR("{\"status\":\"401\",\"schemes\":\"Bearer\",\"scope\":\"mail\"}"));
    return STEP_CHALLENGE;
}

/* The account that the token names: the client may not name another. */
static enum exchange_step take_login(struct exchange *exchange, struct buf *challenge) {
    struct str login;
    enum exchange_step step;
    if (!login_name(exchange, exchange->account.login, &login))
        return refuse(exchange, challenge, "the token names nobody");
    if (exchange->user.length && !str_equal(exchange->user, login))
        return refuse(exchange, challenge, "the token is somebody else's");
    exchange->user = login;
    if (login_is_barred(exchange, &step)) return step; /* the client need not have named it */
    return login_grant(exchange, STR_EMPTY);
}

static enum exchange_step respond(struct exchange *exchange, const struct sasl_token *token, struct buf *challenge) {
    struct failure failure = {0};
    enum exchange_step step = STEP_DENIED;
    if (!name_user(exchange, token->name)) return refuse(exchange, challenge, "no name of an account");
    if (login_is_barred(exchange, &step)) return step;
    switch (ask_sources(exchange, token->token, &failure)) {
    case SOURCE_FOUND:
        return take_login(exchange, challenge);
    case SOURCE_UNKNOWN:
        return refuse(exchange, challenge, "nobody knows the token");
    case SOURCE_WRONG:
        return refuse(exchange, challenge, failure.text[0] ? failure.text : "the token is not good");
    case SOURCE_DISABLED:
        return refuse(exchange, challenge, "the account is closed");
    case SOURCE_RETRY:
        break;
    }
    log_warning("source of accounts: %s", failure.text);
    return login_later(exchange, "a source of accounts does not answer");
}

static enum exchange_step bearer_respond(struct exchange *exchange, bool has_response, struct str response,
                                         struct buf *challenge) {
    struct sasl_token token;
    struct buf name = buf_make(0);
    if (exchange->state) return STEP_DENIED;
    if (!has_response) return STEP_CHALLENGE;
    bool good = sasl_oauthbearer_read(response, &token) && scram_name_decode(token.name, &name);
    token.name = buf_str(&name);
    enum exchange_step step = good ? respond(exchange, &token, challenge) : STEP_MALFORMED;
    buf_free(&name);
    return step;
}

static enum exchange_step xoauth2_respond(struct exchange *exchange, bool has_response, struct str response,
                                          struct buf *challenge) {
    struct sasl_token token;
    if (exchange->state) return STEP_DENIED;
    if (!has_response) return STEP_CHALLENGE;
    return sasl_xoauth2_read(response, &token) ? respond(exchange, &token, challenge) : STEP_MALFORMED;
}

const struct mechanism mechanism_oauthbearer = {STR_INIT("OAUTHBEARER"), true, takes_tokens, bearer_respond};
const struct mechanism mechanism_xoauth2 = {STR_INIT("XOAUTH2"), true, takes_tokens, xoauth2_respond};
