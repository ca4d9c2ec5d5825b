/* MAIL: begins a transaction (RFC 5321 4.1.1.2; SIZE, BODY, SMTPUTF8, RET, ENVID). */
#include "smtpd.h"
#include "xtext.h"

struct transaction *transaction_begin(struct session *session) {
    struct transaction *transaction = MEMORY_NEW(struct transaction);
    uint64_t recipients = (uint64_t)session->smtpd->config->smtpd_recipient_limit;
    transaction->arena = arena_create((size_t)(65536 + recipients * 1500));
    transaction->envelope_id = transaction->hold_reason = transaction->submitter = STR_EMPTY;
    session->transaction = transaction;
    return transaction;
}

void transaction_free(struct transaction **transaction) {
    struct transaction *gone = *transaction;
    if (!gone) return;
    content_free(&gone->content);
    buf_free(&gone->prepended);
    MEMORY_FREE(gone->recipients);
    arena_destroy(&gone->arena);
    MEMORY_FREE(*transaction);
}

static unsigned address_flags(const struct session *session) {
    unsigned flags = MAIL_ADDRESS_LONG | MAIL_ADDRESS_LOCAL_ONLY;
    return session->smtpd->config->strict_rfc821_envelopes ? flags | MAIL_ADDRESS_STRICT : flags;
}

/* A size that can never fit is refused before it is sent (RFC 1870 6.1). */
static bool fits(struct session *session, const struct smtp_mail *mail) {
    int64_t limit = session->smtpd->config->message_size_limit;
    if (limit == 0 || !mail->has_size || mail->size <= (uint64_t)limit) return true;
    return reply(session, 552, "5.3.4", "Message size exceeds fixed limit");
}

static bool below_rate(struct session *session) {
    uint64_t count = 0;
    if (limits_count(session->smtpd->limits, session->rate_key, LIMITED_MESSAGE, &count)) return true;
    limits_log(session, "Message delivery request rate", count);
    return reply(session, 450, "4.7.1", "Error: too much mail from %.*s", STR_ARGS(session->client.address));
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
    if (!smtp_parse_mail(argument, smtpd_parameters(session), address_flags(session), &mail, &error))
        return reply_command_error(session, &error);
    if (!fits(session, &mail) || !below_rate(session)) return false;
    keep(session, &mail);
    if (!take_submitter(session, &mail)) return false;
    if (!policy_mail(session)) {
        session_reset(session);
        return false;
    }
    return reply(session, 250, "2.1.0", "Ok");
}
