/* HELO, EHLO, LHLO: who is there, and what we offer (RFC 5321 4.1.1.1, RFC 2033 4.1). */
#include "log_text.h"
#include "smtpd.h"

static bool greet(struct session *session, struct str argument, const char *where, bool extended) {
    if (argument.length == 0) return reply(session, 501, "5.5.4", "Syntax: %s hostname", where);
    struct buf before = session->helo;
    bool was_extended = session->extended;
    session->helo = buf_make(0);
    log_text_append(&session->helo, str_slice(argument, 0, 240), 0);
    buf_truncate(&session->helo, 250);
    /* RFC 6531 3.7.1, 3.7.3: a name here is ASCII, and so is what a trace field says of it. */
    for (size_t i = 0; i < session->helo.length; i++)
        if ((unsigned char)session->helo.data[i] >= 0x80) session->helo.data[i] = '?';
    session->extended = extended;
    if (!policy_helo(session, where)) { /* RFC 5321 4.1.4: all is as it was */
        buf_free(&session->helo);
        session->helo = before;
        session->extended = was_extended;
        return false;
    }
    buf_free(&before);
    session_reset(session); /* greeting anew is as RSET */
    session->greeting = SESSION_GREETED;
    return true;
}

bool cmd_helo(struct session *session, struct str argument) {
    if (!greet(session, argument, "HELO", false)) return false;
    reply_line(session, 250, true, session->smtpd->config->myhostname);
    return true;
}

static void say_extensions(struct session *session) {
    sasl_offer(session);
    size_t last = 0, count = 0;
    session->tls_possible = session_tls_offered(session);
    for (size_t i = 0; i < smtpd_extension_count; i++) {
        if (!smtpd_extension_is_offered(session, i)) continue;
        last = i;
        count++;
    }
    reply_line(session, 250, count == 0, session->smtpd->config->myhostname);
    for (size_t i = 0; count > 0 && i <= last; i++) {
        if (!smtpd_extension_is_offered(session, i)) continue;
        struct buf line = buf_make(0);
        buf_append(&line, str_from(smtpd_extensions[i].keyword));
        if (smtpd_extensions[i].argument) smtpd_extensions[i].argument(session, &line);
        reply_line(session, 250, i == last, buf_str(&line));
        buf_free(&line);
    }
}

bool cmd_ehlo(struct session *session, struct str argument) {
    if (!greet(session, argument, "EHLO", true)) return false;
    say_extensions(session);
    return true;
}

bool cmd_lhlo(struct session *session, struct str argument) {
    if (!greet(session, argument, "LHLO", true)) return false;
    say_extensions(session);
    return true;
}
