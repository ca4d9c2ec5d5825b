/* AUTH: the client says who it is (RFC 4954). The exchange is carried to and from auth, which decides; nothing
 * here knows a mechanism. */
#include "base64.h"
#include "log.h"
#include "log_text.h"
#include "smtpd.h"

#define ARENA_LIMIT ((size_t)200000)

struct dialogue {
    struct session *session;
    struct arena *arena;
    char mechanism[33];
    struct buf response; /* decoded */
    uint64_t exchange;
    bool begun;
};

static bool is_offered(const struct session *session, struct str mechanism) {
    struct str word, rest = buf_str(&session->mechanisms);
    while (str_next_word(&rest, " ", &word))
        if (str_equal_nocase(word, mechanism)) return true;
    return false;
}

static bool refuse_length(struct session *session) {
    return reply(session, 500, "5.5.6", "Authentication exchange line is too long");
}

/* "=" is an initial response of no octets. What the client sent is wiped where it stands. */
static bool decode(struct dialogue *dialogue, struct str text) {
    buf_clear(&dialogue->response);
    bool good = base64_decode(&dialogue->response, text);
    memory_wipe((void *)(uintptr_t)text.data, text.length);
    return good || reply(dialogue->session, 501, "5.5.2", "Error: cannot base64-decode the response");
}

static bool say_challenge(struct session *session, struct str challenge) {
    struct buf line = buf_make(0);
    buf_append(&line, STR("334 "));
    base64_encode(&line, challenge);
    buf_append(&line, STR("\r\n"));
    enum stream_result result = stream_write(session->stream, buf_str(&line));
    buf_free(&line);
    if (result != STREAM_OK) session_broken(session, result, -1);
    return result == STREAM_OK;
}

/* False: there is none, and that has been said. */
static bool read_response(struct dialogue *dialogue) {
    struct session *session = dialogue->session;
    struct str line;
    stream_set_line_limit(session->stream, (size_t)session->smtpd->config->smtpd_sasl_response_limit);
    enum stream_result result = session_read_line(session, &line);
    switch (result) {
    case STREAM_OK:
        break;
    case STREAM_TOO_LONG:
        return refuse_length(session);
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
        if (session->strict_newlines)
            content_refuse_newline(session, result == STREAM_BARE_CR);
        else
            reply(session, 501, "5.5.2", "Error: bad line end in the response");
        return false;
    case STREAM_NUL:
        return reply(session, 501, "5.5.2", "Error: NUL in the response");
    case STREAM_EOF:
    case STREAM_TIMEOUT:
    case STREAM_CANCELLED:
    case STREAM_ERROR:
        session_broken(session, result, -1);
        return false;
    }
    if (!str_equal(line, STR("*"))) return decode(dialogue, line);
    log_warning("%.*s: SASL %s authentication aborted", STR_ARGS(session->client.label), dialogue->mechanism);
    return reply(session, 501, "5.7.0", "Authentication aborted");
}

/* ---- what came of it */

static bool succeed(struct dialogue *dialogue, const struct auth_result *result) {
    struct session *session = dialogue->session;
    session_set_login(session, result->login, str_from(dialogue->mechanism));
    return reply(session, 235, "2.7.0", "Authentication successful");
}

static bool fail(struct dialogue *dialogue, const struct auth_result *result) {
    struct session *session = dialogue->session;
    char user[300];
    log_warning("%.*s: SASL %s authentication failed: %.*s, sasl_username=%s", STR_ARGS(session->client.label),
                dialogue->mechanism, STR_ARGS(result->text),
                result->login.length ? log_text(user, sizeof user, result->login) : "(unavailable)");
    const char *words =
        result->outcome == AUTH_LATER ? "Temporary authentication failure" : "Error: authentication failed";
    char status[13];
    snprintf(status, sizeof status, "%.*s", STR_ARGS(result->status));
    return reply(session, result->reply_code, status, "%s: %.*s", words, STR_ARGS(result->text));
}

/* The mechanism's last word goes as one more challenge, answered by an empty response (RFC 4954 4). */
static bool hear_last_word(struct dialogue *dialogue, struct str word) {
    if (word.length == 0) return true;
    if (!say_challenge(dialogue->session, word) || !read_response(dialogue)) return false;
    if (dialogue->response.length == 0) return true;
    return reply(dialogue->session, 501, "5.5.2", "Error: nothing was expected after the last challenge");
}

/* Carries challenges and responses until auth has decided. */
static bool carry(struct dialogue *dialogue, bool has_initial) {
    struct session *session = dialogue->session;
    struct smtpd *smtpd = session->smtpd;
    struct sasl_bindings bindings;
    struct auth_subject subject = sasl_subject(session, &bindings);
    struct auth_result result;
    const struct auth_opening opening = {str_from(dialogue->mechanism), has_initial, buf_str(&dialogue->response)};
    auth_begin(smtpd->auth, &subject, &opening, deadline_in(SMTPD_LOOKUP_TIME), dialogue->arena, &dialogue->exchange,
               &result);
    while (result.outcome == AUTH_GO_ON) {
        dialogue->begun = true;
        if (!say_challenge(session, result.data) || !read_response(dialogue)) return false;
        arena_destroy(&dialogue->arena); /* of this step; the next has its own */
        dialogue->arena = arena_create(ARENA_LIMIT);
        auth_respond(smtpd->auth, dialogue->exchange, buf_str(&dialogue->response), deadline_in(SMTPD_LOOKUP_TIME),
                     dialogue->arena, &result);
    }
    dialogue->begun = false;
    if (result.outcome != AUTH_GRANTED) return fail(dialogue, &result);
    return hear_last_word(dialogue, result.data) && succeed(dialogue, &result);
}

static bool run(struct session *session, struct str mechanism, bool has_initial, struct str initial) {
    struct dialogue dialogue = {.session = session, .arena = arena_create(ARENA_LIMIT), .response = buf_make(12288)};
    bool good = true;
    for (size_t i = 0; i < mechanism.length; i++)
        dialogue.mechanism[i] = ascii_upper(mechanism.data[i]);
    if (has_initial) good = decode(&dialogue, str_equal(initial, STR("=")) ? STR_EMPTY : initial);
    good = good && carry(&dialogue, has_initial);
    if (dialogue.begun) auth_cancel(session->smtpd->auth, dialogue.exchange);
    buf_free_secret(&dialogue.response);
    arena_destroy(&dialogue.arena);
    return good;
}

/* ---- may it be tried */

static bool below_rate(struct session *session) {
    uint64_t count = 0;
    if (limits_count(session->smtpd->limits, session->rate_key, LIMITED_AUTH, &count)) return true;
    limits_log(session, "AUTH command rate", count);
    return reply(session, 450, "4.7.1", "Error: too many AUTH commands from %.*s", STR_ARGS(session->client.address));
}

static bool may_begin(struct session *session) {
    const struct smtpd *smtpd = session->smtpd;
    if (session->greeting == SESSION_NEW || !session->extended)
        return reply(session, 503, "5.5.1", "Error: send %s first", smtpd->lmtp ? "LHLO" : "EHLO");
    if (smtpd->auth && smtpd->config->smtpd_tls_auth_only && !session->tls && !endpoint_is_local(&session->peer))
        return reply(session, 538, "5.7.11", "Encryption required for requested authentication mechanism");
    if (!sasl_is_offered(session)) return reply(session, 503, "5.5.1", "Error: authentication not enabled");
    if (session->client.login.length) return reply(session, 503, "5.5.1", "Error: already authenticated");
    return true;
}

bool cmd_auth(struct session *session, struct str argument) {
    struct str mechanism = STR_EMPTY, initial = STR_EMPTY, more;
    if (!may_begin(session) || !below_rate(session)) return false;
    bool has_mechanism = str_next_word(&argument, " \t", &mechanism);
    bool has_initial = str_next_word(&argument, " \t", &initial);
    if (!has_mechanism || str_next_word(&argument, " \t", &more))
        return reply(session, 501, "5.5.4", "Syntax: AUTH mechanism [initial-response]");
    if (mechanism.length > 32 || !is_offered(session, mechanism)) {
        char shown[60];
        return reply(session, 504, "5.5.4", "%s: mechanism not supported", log_text(shown, sizeof shown, mechanism));
    }
    return run(session, mechanism, has_initial, initial);
}
