/* What a session is at this moment. */
#include "received.h"
#include "smtpd.h"

#define DRAIN_IDLE_TIME 60000 /* ms that a client has for a command once the process drains */

bool smtpd_is_stressed(const struct smtpd *smtpd) {
    return (uint64_t)smtpd->sessions * 100 >
           (uint64_t)smtpd->session_limit * (uint64_t)smtpd->config->smtpd_stress_threshold_percent;
}

enum session_state session_state(const struct session *session) {
    const struct transaction *transaction = session->transaction;
    if (!transaction) return (enum session_state)session->greeting;
    if (transaction->chunks) return SESSION_CHUNKS;
    return transaction->recipient_count ? SESSION_RCPT : SESSION_MAIL;
}

void session_reset(struct session *session) {
    transaction_free(&session->transaction);
    if (!session->forwarded) return;
    arena_destroy(&session->forwarded->arena);
    MEMORY_FREE(session->forwarded);
}

struct str session_queue_id(const struct session *session) {
    const struct transaction *transaction = session->transaction;
    return transaction && transaction->content ? content_queue_id(transaction->content) : STR("NOQUEUE");
}

const char *session_protocol(const struct session *session, bool utf8) {
    unsigned flags = (session->extended ? (unsigned)RECEIVED_EHLO : 0) |
                     (session->smtpd->lmtp ? (unsigned)RECEIVED_LMTP : 0) | (session->tls ? (unsigned)RECEIVED_TLS : 0);
    return received_protocol(utf8 ? flags | RECEIVED_UTF8 : flags);
}

const char *session_trace_protocol(const struct session *session, bool utf8) {
    unsigned flags = (session->extended ? (unsigned)RECEIVED_EHLO : 0) |
                     (session->smtpd->lmtp ? (unsigned)RECEIVED_LMTP : 0) | (session->tls ? (unsigned)RECEIVED_TLS : 0);
    if (session->client.login.length) flags |= RECEIVED_AUTHENTICATED;
    return received_protocol(utf8 ? flags | RECEIVED_UTF8 : flags);
}

int64_t session_timeout(const struct session *session) {
    const struct config *config = session->smtpd->config;
    int64_t most = config->smtpd_timeout * 1000;
    if (smtpd_is_stressed(session->smtpd) && config->smtpd_stress_timeout * 1000 < most)
        most = config->smtpd_stress_timeout * 1000;
    if (service_is_draining(session->smtpd->service) && most > DRAIN_IDLE_TIME) most = DRAIN_IDLE_TIME;
    return most;
}
