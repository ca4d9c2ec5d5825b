/* mechanism PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login): name and password as they are. */
#include "auth_daemon.h"
#include "sasl_message.h"

static bool has_accounts(const struct auth *auth, const struct ipc_auth_mechanisms *client) {
    (void)client;
    for (size_t i = 0; i < auth->sources.count; i++)
        if (auth->sources.list[i].type->look_up || auth->sources.list[i].type->verify) return true;
    return false;
}

static enum exchange_step plain_respond(struct exchange *exchange, bool has_response, struct str response,
                                        struct buf *challenge) {
    struct sasl_plain plain;
    (void)challenge;
    if (!has_response) return STEP_CHALLENGE; /* an empty one */
    if (!sasl_plain_read(response, &plain)) return STEP_MALFORMED;
    return login_by_password(exchange, plain.authorization, plain.name, plain.password);
}

/* The texts of the challenges are what clients look for, in this spelling. */
static enum exchange_step login_respond(struct exchange *exchange, bool has_response, struct str response,
                                        struct buf *challenge) {
    struct str *name = exchange->state;
    if (!has_response) {
        buf_append(challenge, STR("Username:"));
        return STEP_CHALLENGE;
    }
    if (name) {
        if (response.length == 0 || response.length > SASL_PASSWORD_MAX || memchr(response.data, '\0', response.length))
            return STEP_MALFORMED;
        return login_by_password(exchange, STR_EMPTY, *name, response);
    }
    if (response.length == 0 || response.length > SASL_NAME_MAX || !str_is_utf8(response)) return STEP_MALFORMED;
    exchange->state = name = ARENA_NEW(exchange->arena, struct str);
    if (!name || !arena_copy(exchange->arena, response, name)) return login_later(exchange, "out of room");
    buf_append(challenge, STR("Password:"));
    return STEP_CHALLENGE;
}

const struct mechanism mechanism_plain = {STR_INIT("PLAIN"), true, has_accounts, plain_respond};
const struct mechanism mechanism_login = {STR_INIT("LOGIN"), true, has_accounts, login_respond};
