/* mechanism EXTERNAL (RFC 4422 appendix A): the certificate says who it is; and ANONYMOUS (RFC 4505). */
#include "auth_daemon.h"
#include "sasl_message.h"

static bool has_certificate(const struct auth *auth, const struct ipc_auth_mechanisms *client) {
    (void)auth;
    return client->certificate;
}

static enum exchange_step external_respond(struct exchange *exchange, bool has_response, struct str response,
                                           struct buf *challenge) {
    enum exchange_step step = STEP_DENIED;
    (void)challenge;
    if (!has_response) return STEP_CHALLENGE;
    if (response.length > SASL_NAME_MAX || !str_is_utf8(response)) return STEP_MALFORMED;
    if (exchange->certificate.length == 0) return login_wrong(exchange, "no certificate that names an account");
    switch (login_find(exchange, exchange->certificate, &step)) {
    case LOGIN_STOP:
        return step;
    case LOGIN_UNKNOWN:
        return login_wrong(exchange, "no account has the certificate's name");
    case LOGIN_FOUND:
        break;
    }
    return login_grant(exchange, response);
}

static bool always(const struct auth *auth, const struct ipc_auth_mechanisms *client) {
    (void)auth;
    (void)client;
    return true;
}

static enum exchange_step anonymous_respond(struct exchange *exchange, bool has_response, struct str response,
                                            struct buf *challenge) {
    enum exchange_step step = STEP_DENIED;
    (void)challenge;
    if (!has_response) return STEP_CHALLENGE;
    if (response.length > SASL_NAME_MAX || !str_is_utf8(response)) return STEP_MALFORMED;
    if (login_is_barred(exchange, &step)) return step; /* the address: the account is nobody's */
    exchange->user = exchange->login = exchange->auth->config->auth_anonymous_login;
    return exchange->login.length ? STEP_GRANTED : login_wrong(exchange, "auth_anonymous_login is empty");
}

const struct mechanism mechanism_external = {STR_INIT("EXTERNAL"), false, has_certificate, external_respond};
const struct mechanism mechanism_anonymous = {STR_INIT("ANONYMOUS"), false, always, anonymous_respond};
