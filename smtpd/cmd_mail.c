/* MAIL: begins a transaction (RFC 5321 4.1.1.2; SIZE, BODY, SMTPUTF8, RET, ENVID, BY, MT-PRIORITY, HOLDFOR,
 * HOLDUNTIL, REQUIRETLS). */
#include "smtpd.h"
#include "xtext.h"

static unsigned address_flags(const struct session *session) {
    unsigned flags = MAIL_ADDRESS_LONG | MAIL_ADDRESS_LOCAL_ONLY;
    return session->smtpd->config->strict_rfc821_envelopes ? flags | MAIL_ADDRESS_STRICT : flags;
}

/* A size that can never fit is refused before it is sent (RFC 1870 6.1). */
static bool fits(struct session *session, const struct smtp_mail *mail) {
    int64_t limit = session->smtpd->config->message_size_limit;
    struct refusal refusal;
    if (limit == 0 || !mail->has_size || mail->size <= (uint64_t)limit) return true;
    refusal_set(&refusal, 552, "5.3.4", "Message size exceeds fixed limit");
    reply_log(session, "reject", "MAIL", &refusal, &mail->sender, NULL);
    return reply_refusal(session, &refusal);
}

static bool below_rate(struct session *session) {
    uint64_t count = 0;
    if (limits_count(session->smtpd->limits, session->rate_key, LIMITED_MESSAGE, &count)) return true;
    limits_log(session, "Message delivery request rate", count);
    return reply(session, 450, "4.7.1", "Error: too much mail from %.*s", STR_ARGS(session->client.address));
}

/* MAILMAX (RFC 9422): a client that was told of the limit does not get here. */
static bool may_have_another(struct session *session) {
    int64_t limit = session->smtpd->config->smtpd_session_message_limit;
    if (limit == 0 || session->messages < (uint64_t)limit) return true;
    session->closing = true;
    return reply(session, 421, "4.7.0", "%.*s Error: no more messages in this session",
                 STR_ARGS(session->smtpd->config->myhostname));
}

/* When it may go, by when it has to, and how soon. False: refused. */
static bool read_wish(struct session *session, const struct smtp_mail *mail, struct envelope_wish *wish,
                      bool *priority_changed) {
    const struct config *config = session->smtpd->config;
    int64_t now = clock_date() / CLOCK_SECOND, minimum = config->smtpd_deliver_by_minimum;
    int64_t most =
        session->client.login.length ? config->smtpd_priority_limit : config->smtpd_unauthenticated_priority_limit;
    /* Rounded up: no message goes a part of a second before its time. */
    if (!envelope_wish_release(mail, now + 1, config->smtpd_future_release_limit, &wish->release))
        return reply(session, 501, "5.5.4", "Error: the date of release is none, or more than %lld seconds off",
                     (long long)config->smtpd_future_release_limit);
    if (mail->has_by && mail->by_mode == 'R' && mail->by_time < minimum)
        return reply(session, 501, "5.5.4", "Error: BY is shorter than %lld seconds", (long long)minimum);
    envelope_wish_deliver_by(mail, envelope_wish_begin(wish, now), wish);
    *priority_changed = mail->has_priority && mail->priority > most;
    wish->priority = *priority_changed ? (int)most : mail->priority;
    wish->tls = mail->requiretls ? TLS_WISH_REQUIRED : 0;
    return true;
}

/* A sender without domain is one of ours, as Postfix has it. */
static void complete(struct session *session, struct transaction *transaction) {
    struct str local = mail_address_local(&transaction->sender);
    if (local.length == 0 || mail_address_domain(&transaction->sender).length > 0) return;
    transaction->sender_incomplete = true;
    struct mail_address whole;
    if (mail_address_from_parts(local, session->smtpd->config->myorigin, address_flags(session) | MAIL_ADDRESS_UTF8,
                                &whole) == MAIL_ADDRESS_OK)
        transaction->sender = whole;
}

/* RFC 4954 5: who first submitted it, by the word of the client; for logs. */
static bool take_submitter(struct session *session, const struct smtp_mail *mail) {
    struct transaction *transaction = session->transaction;
    struct buf decoded = buf_make(SMTP_AUTH_IDENTITY_MAX);
    bool good = !mail->has_auth || (xtext_decode(&decoded, mail->auth) && str_is_utf8(buf_str(&decoded)) &&
                                    arena_copy(transaction->arena, buf_str(&decoded), &transaction->submitter));
    buf_free(&decoded);
    if (good) return true;
    session_reset(session);
    return reply(session, 501, "5.5.4", "Error: bad authenticated sender");
}

static void keep(struct session *session, const struct smtp_mail *mail) {
    struct transaction *transaction = transaction_begin(session);
    struct buf decoded = buf_make(SMTP_ENVID_MAX);
    transaction->sender = mail->sender;
    transaction->smtputf8 = mail->smtputf8;
    transaction->body = (uint8_t)mail->body;
    transaction->size = mail->has_size ? mail->size : 0;
    transaction->return_content = mail->ret == SMTP_RET_FULL   ? RETURN_FULL
                                  : mail->ret == SMTP_RET_HDRS ? RETURN_HEADERS
                                                               : RETURN_NOT_GIVEN;
    if (xtext_decode(&decoded, mail->envid) &&
        !arena_copy(transaction->arena, buf_str(&decoded), &transaction->envelope_id))
        transaction->envelope_id = STR_EMPTY;
    buf_free(&decoded);
    complete(session, transaction);
}

bool cmd_mail(struct session *session, struct str argument) {
    struct smtp_mail mail;
    struct smtp_command_error error;
    struct envelope_wish wish = {.release = 0};
    bool priority_changed = false;
    if (!smtp_parse_mail(argument, smtpd_parameters(session), address_flags(session), &mail, &error))
        return reply_command_error(session, &error);
    if (!may_have_another(session) || !fits(session, &mail)) return false;
    if (!read_wish(session, &mail, &wish, &priority_changed) || !below_rate(session)) return false;
    if (!login_may_begin(session)) return false;
    session->messages++;
    keep(session, &mail);
    session->transaction->wish = wish;
    session->transaction->priority_changed = priority_changed;
    if (!take_submitter(session, &mail)) return false;
    if (!policy_mail(session)) {
        session_reset(session);
        return false;
    }
    return reply(session, 250, "2.1.0", "Ok");
}
