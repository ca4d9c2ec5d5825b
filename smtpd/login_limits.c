/* login_limits: what an account may send within a window, and the brake for stolen
 * ones. smtpd processes are many, so the counts are qmgr's; it is asked by way of
 * cleanup. The limits are this service's (master.cf's -o), or the account's own from
 * smtpd_login_limit_maps. What cannot be counted is not taken: 451. */
#include "log.h"
#include "login_usage.h"
#include "smtpd.h"

#define PATIENCE     40000 /* ms */
#define REJECTED_LOT 5     /* refused recipients that are told of at once, and not with the next message */

static bool read_limits(const struct session *session, struct login_limits *limits) {
    const struct config *config = session->smtpd->config;
    *limits = (struct login_limits){
        .most = {(uint64_t)config->smtpd_login_message_limit, (uint64_t)config->smtpd_login_recipient_limit,
                 (uint64_t)config->smtpd_login_size_limit},
        .window = config->smtpd_login_window,
        .brake = {(uint64_t)config->smtpd_login_brake_recipients, (uint64_t)config->smtpd_login_brake_rejects,
                  (uint64_t)config->smtpd_login_brake_bounces},
        .brake_window = config->smtpd_login_brake_window};
    struct arena *arena = arena_create(0);
    struct str value, bad = STR_EMPTY;
    struct failure failure = {0};
    bool found = false, good = true;
    if (config->smtpd_login_limit_maps.length)
        good = resolve_match(session->smtpd->resolve, STR("smtpd_login_limit_maps"), session->client.login,
                             deadline_in(SMTPD_LOOKUP_TIME), arena, &found, &value, &failure) == RESOLVE_OK;
    if (!good)
        log_warning("smtpd_login_limit_maps: lookup of %.*s failed: %s", STR_ARGS(session->client.login), failure.text);
    if (good && found && !login_limits_parse(value, limits, &bad)) {
        log_warning("smtpd_login_limit_maps: %.*s: \"%.*s\" is no limit", STR_ARGS(session->client.login),
                    STR_ARGS(str_slice(bad, 0, 100)));
        good = false;
    }
    arena_destroy(&arena);
    return good;
}

static bool has_any(const struct login_limits *limits) {
    for (size_t i = 0; i < LOGIN_COUNTERS; i++)
        if (limits->most[i]) return true;
    for (size_t i = 0; i < LOGIN_SIGNS; i++)
        if (limits->brake[i]) return true;
    return false;
}

/* Asks; text lives in the arena. LOGIN_LATER too when nobody answers, without a text. */
static enum login_verdict use(struct session *session, const struct login_event *event, bool charge,
                              struct arena *arena, struct str *text) {
    struct login_limits limits;
    struct ipc_reply reply = {.descriptor = -1};
    *text = STR_EMPTY;
    if (!read_limits(session, &limits)) return LOGIN_LATER;
    struct ipc_login_use question = {.login = session->client.login,
                                     .client_address = session->client.address,
                                     .charge = charge,
                                     .messages = event->messages,
                                     .recipients = event->recipients,
                                     .bytes = event->bytes,
                                     .rejected = event->rejected,
                                     .message_limit = limits.most[LOGIN_MESSAGES],
                                     .recipient_limit = limits.most[LOGIN_RECIPIENTS],
                                     .byte_limit = limits.most[LOGIN_BYTES],
                                     .window = (uint64_t)limits.window,
                                     .brake_sudden = limits.brake[LOGIN_SUDDEN],
                                     .brake_rejected = limits.brake[LOGIN_REJECTED],
                                     .brake_bounced = limits.brake[LOGIN_BOUNCED],
                                     .brake_window = (uint64_t)limits.brake_window};
    if (!has_any(&limits)) return LOGIN_GO;
    if (ipc_ask(session->smtpd->cleanup, IPC_LOGIN_USE, &question, -1, IPC_LOGIN_USED, deadline_in(PATIENCE), arena,
                &reply, NULL) != IPC_OK)
        return LOGIN_LATER;
    const struct ipc_login_used *answer = reply.message;
    *text = answer->text;
    return (enum login_verdict)answer->verdict;
}

static void refuse(enum login_verdict verdict, struct str text, struct refusal *refusal) {
    if (verdict == LOGIN_NEVER)
        refusal_set(refusal, 550, "5.7.1", "Error: %.*s", STR_ARGS(text));
    else if (text.length)
        refusal_set(refusal, 450, "4.7.1", "Error: %.*s", STR_ARGS(text));
    else
        refusal_set(refusal, 451, "4.3.0", "Error: what your account has sent cannot be counted now; try again later");
}

bool login_may_begin(struct session *session) {
    const struct login_event event = {.messages = 1, .recipients = 1, .bytes = 1};
    struct refusal refusal;
    struct str text;
    if (session->client.login.length == 0) return true;
    struct arena *arena = arena_create(0);
    enum login_verdict verdict = use(session, &event, false, arena, &text);
    bool good = verdict == LOGIN_GO || verdict == LOGIN_HOLD;
    if (!good) refuse(verdict, text, &refusal);
    arena_destroy(&arena);
    if (good) return true;
    reply_log(session, "reject", "MAIL", &refusal, NULL, NULL);
    return reply_refusal(session, &refusal);
}

void login_rejected(struct session *session) {
    const struct login_event event = {.rejected = session->rejected + 1};
    struct str text;
    if (session->client.login.length == 0 || ++session->rejected < REJECTED_LOT) return;
    struct arena *arena = arena_create(0);
    enum login_verdict ignored = use(session, &event, true, arena, &text);
    (void)ignored; /* what comes of it shows at the next message */
    session->rejected = 0;
    arena_destroy(&arena);
}

bool login_may_send(struct session *session, uint64_t bytes, struct refusal *refusal) {
    struct transaction *transaction = session->transaction;
    const struct login_event event = {
        .messages = 1, .recipients = transaction->recipient_count, .bytes = bytes, .rejected = session->rejected};
    struct str text;
    if (session->client.login.length == 0) return true;
    struct arena *arena = arena_create(0);
    enum login_verdict verdict = use(session, &event, true, arena, &text);
    bool good = verdict == LOGIN_GO || verdict == LOGIN_HOLD;
    session->rejected = 0;
    if (verdict == LOGIN_HOLD && transaction->hold_reason.length == 0 &&
        !arena_copy(transaction->arena, str_slice(text, 0, 190), &transaction->hold_reason))
        transaction->hold_reason = STR("account on hold");
    if (!good) {
        refuse(verdict, text, refusal);
        reply_log(session, "reject", "END-OF-MESSAGE", refusal, &transaction->sender, NULL);
    }
    arena_destroy(&arena);
    return good;
}
