/* Waiting for the client, and its lines. */
#include "log.h"
#include "log_text.h"
#include "smtpd.h"

/* The line ends of what came early are part of what is to be seen, as \r and \n. */
static void log_early(const struct session *session, struct str early) {
    char shown[250];
    struct buf text = buf_make(200);
    for (size_t i = 0; i < early.length && i < 100; i++) {
        char c = early.data[i];
        if (c == '\r' || c == '\n')
            buf_append(&text, c == '\r' ? STR("\\r") : STR("\\n"));
        else
            buf_append_char(&text, c);
    }
    log_info("improper command pipelining after %s from %.*s: %s", session->where, STR_ARGS(session->client.label),
             log_text(shown, sizeof shown, buf_str(&text)));
    buf_free(&text);
}

bool session_refuse_pipelining(struct session *session) {
    struct str early = stream_peek(session->stream);
    if (early.length == 0) return false; /* the end of the connection, not bytes */
    if (!session->pipelined) log_early(session, early);
    session->pipelined = true;
    if (!session->smtpd->config->smtpd_forbid_unauth_pipelining) return false;
    session->closing = true;
    reply(session, 554, "5.5.0", "Error: SMTP protocol synchronization");
    return true;
}

void session_enter_waiting(struct session *session) {
    struct session **first = &session->smtpd->waiting;
    session->next_waiting = *first;
    session->link_waiting = first;
    if (*first) (*first)->link_waiting = &session->next_waiting;
    *first = session;
}

void session_leave_waiting(struct session *session) {
    *session->link_waiting = session->next_waiting;
    if (session->next_waiting) session->next_waiting->link_waiting = session->link_waiting;
}

/* A command that arrives together with the stop gets 421 for its reply (RFC 5321 4.2.3): its
 * task is cancelled already and could not carry it out. */
enum stream_result session_read_line(struct session *session, struct str *line) {
    const struct service *service = session->smtpd->service;
    deadline until = deadline_in(session_timeout(session));
    if (service_is_stopping(service)) return STREAM_CANCELLED;
    stream_set_deadline(session->stream, until < session->ends ? until : session->ends);
    session_enter_waiting(session);
    enum stream_result result = stream_read_line(session->stream, line);
    session_leave_waiting(session);
    return result == STREAM_OK && service_is_stopping(service) ? STREAM_CANCELLED : result;
}

void sessions_stop(struct service *service) {
    struct smtpd *smtpd = service_context(service);
    for (struct session *session = smtpd->waiting; session; session = session->next_waiting)
        task_cancel(session->task);
}
