/* STARTTLS (RFC 3207). What came behind it in clear would be taken for the encrypted client's: it
 * ends the session. */
#include "smtpd.h"

static bool say_ready(struct session *session) {
    return reply(session, 220, "2.0.0", "Ready to start TLS");
}

bool cmd_starttls(struct session *session, struct str argument) {
    struct smtpd *smtpd = session->smtpd;
    if (stream_pending(session->stream) > 0) {
        session->closing = true;
        return reply(session, 554, "5.5.0", "Error: SMTP protocol synchronization");
    }
    if (argument.length > 0) return reply(session, 501, "5.5.4", "Syntax: STARTTLS");
    if (session->tls) return reply(session, 554, "5.5.1", "Error: TLS already active");
    if (smtpd->tls_use == SMTPD_TLS_UNUSED || smtpd_extension_is_discarded(session, "STARTTLS"))
        return reply(session, 502, "5.5.1", "Error: command not implemented");
    if (limits_reached(smtpd->limits, session->rate_key, LIMITED_TLS)) {
        limits_log(session, "New TLS session rate", (uint64_t)smtpd->config->smtpd_client_new_tls_session_rate_limit);
        return reply(session, 454, "4.7.0", "Error: too many new TLS sessions from %.*s",
                     STR_ARGS(session->client.address));
    }
    return session_start_tls(session, say_ready);
}
