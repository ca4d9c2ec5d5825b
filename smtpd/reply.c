/* reply: what the server says, one line or several, and the log line of a refusal; the end of a session that can say
 * or hear no more. */
#include "log.h"
#include "log_text.h"
#include "smtpd.h"
#include <errno.h>

static void say(struct session *session, struct str line) {
    if (session->connection_lost) return;
    enum stream_result result = stream_write(session->stream, line);
    if (result != STREAM_OK) session_broken(session, result, -1);
}

/* Too many errors cost time: RFC 5321 leaves it to us, Postfix's clients know it. */
static void slow_down(struct session *session) {
    const struct config *config = session->smtpd->config;
    if (session->errors < (uint64_t)config->smtpd_soft_error_limit || config->smtpd_error_sleep_time == 0) return;
    if (session->closing || session->connection_lost) return;
    /* What was said before goes out now: who pipelines garbage is to see why it gets slow. */
    enum stream_result result = stream_flush(session->stream);
    if (result != STREAM_OK)
        session_broken(session, result, -1);
    else
        task_sleep(config->smtpd_error_sleep_time * 1000);
}

/* Faults of ours are not the client's errors; nor are, in LMTP, recipients that are refused: whoever speaks it passes
 * on what others wrote, and with the session the rest of the message would go. */
static bool counts_as_error(const struct session *session, unsigned code) {
    bool of_recipient = session->telling_each || (session->smtpd->lmtp && strcmp(session->where, "RCPT") == 0);
    return code >= 400 && code != 421 && code != 451 && code != 452 && !of_recipient;
}

/* RFC 6531 3.7.4: UTF-8 is for those alone who said that they can read it. */
static void keep_readable(const struct session *session, struct buf *line) {
    if (session->utf8_reply || (session->transaction && session->transaction->smtputf8)) return;
    for (size_t i = 0; i < line->length; i++)
        if ((unsigned char)line->data[i] >= 0x80) line->data[i] = '?';
}

bool reply(struct session *session, unsigned code, const char *status, const char *format, ...) {
    struct buf text = buf_make(0), line = buf_make(0);
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    bool soft = code >= 500 && session->smtpd->config->soft_bounce;
    if (counts_as_error(session, code)) session->errors++;
    if (!session->telling_each) slow_down(session);
    buf_printf(&line, "%u ", soft ? code - 100 : code);
    if (*status) buf_printf(&line, "%c%s ", soft ? '4' : *status, status + 1);
    log_text_append(&line, buf_str(&text), SMTPD_TEXT_MAX);
    keep_readable(session, &line);
    buf_append(&line, STR("\r\n"));
    say(session, buf_str(&line));
    buf_free(&text);
    buf_free(&line);
    if (code == 421 || code == 521) session->closing = true;
    return code < 400;
}

void reply_line(struct session *session, unsigned code, bool last, struct str text) {
    struct buf line = buf_make(0);
    buf_printf(&line, "%u%c", code, last ? ' ' : '-');
    log_text_append(&line, text, SMTPD_TEXT_MAX);
    buf_append(&line, STR("\r\n"));
    say(session, buf_str(&line));
    buf_free(&line);
}

bool reply_refusal(struct session *session, const struct refusal *refusal) {
    return reply(session, refusal->code, refusal->status, "%s", refusal->text);
}

bool reply_command_error(struct session *session, const struct smtp_command_error *error) {
    struct buf status = buf_make(0);
    status_code_append(&status, error->status);
    if (error->status.subject == 1) /* of the address, not of the parameters */
        log_warning("Illegal address syntax from %.*s in %s command: %s", STR_ARGS(session->client.label),
                    session->where, LOG_TEXT(str_trim(error->what)));
    if (error->what.length == 0)
        reply(session, error->reply_code, buf_string(&status), "%s", error->text);
    else
        reply(session, error->reply_code, buf_string(&status), "%s: %.*s", error->text,
              STR_ARGS(str_slice(error->what, 0, 200)));
    buf_free(&status);
    return false;
}

void refusal_set(struct refusal *refusal, unsigned code, const char *status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->text, sizeof refusal->text, format, arguments);
    va_end(arguments);
    refusal->code = code;
    /* The classes of code and status are one. */
    snprintf(refusal->status, sizeof refusal->status, "%u%.9s", code / 100 % 10, *status ? status + 1 : ".0.0");
}

void reply_log(struct session *session, const char *verb, const char *where, const struct refusal *refusal,
               const struct mail_address *sender, const char *recipient) {
    struct buf line = buf_make(1800);
    buf_printf(&line, "%s: %s from %.*s: ", verb, where, STR_ARGS(session->client.label));
    if (refusal->code) {
        bool soft = refusal->code >= 500 && session->smtpd->config->soft_bounce;
        buf_printf(&line, "%u %c%s ", soft ? refusal->code - 100 : refusal->code, soft ? '4' : refusal->status[0],
                   refusal->status + 1);
    }
    buf_append(&line, str_from(refusal->text));
    buf_append_char(&line, ';');
    if (sender) {
        buf_append(&line, STR(" from="));
        mail_address_append_path(&line, sender);
    }
    if (recipient) buf_printf(&line, " to=<%s>", recipient);
    buf_printf(&line, " proto=%s", session_protocol(session, false));
    if (session->helo.length) buf_printf(&line, " helo=<%s>", buf_string(&session->helo));
    log_message(session_queue_id(session), "%s", buf_string(&line));
    buf_free(&line);
}

/* ---- ends that the client did not choose */

void session_log_end(const struct session *session, const char *what, int64_t bytes) {
    char after[60];
    if (bytes >= 0)
        snprintf(after, sizeof after, "%s (%lld bytes)", session->where, (long long)bytes);
    else
        snprintf(after, sizeof after, "%s", session->where);
    log_message(session_queue_id(session), "%s after %s from %.*s", what, after, STR_ARGS(session->client.label));
}

void session_broken(struct session *session, enum stream_result result, int64_t bytes) {
    if (session->closing && session->connection_lost) return;
    bool said = session->closing;
    session->closing = true;
    if (result == STREAM_TIMEOUT) {
        session_log_end(session, "timeout", bytes);
        if (!said)
            reply(session, 421, "4.4.2", "%.*s Error: timeout exceeded", STR_ARGS(session->smtpd->config->myhostname));
    } else if (result == STREAM_CANCELLED) {
        if (!said)
            reply(session, 421, "4.3.2", "%.*s Service shutting down and closing the connection",
                  STR_ARGS(session->smtpd->config->myhostname));
    } else {
        session_log_end(session, "lost connection", bytes);
        const struct failure *failure = stream_failure(session->stream);
        if (result == STREAM_ERROR && failure_is_local(failure->error_number) && failure->error_number != ETIMEDOUT)
            log_warning("connection of %.*s: %s", STR_ARGS(session->client.label), failure->text);
        session->connection_lost = true;
    }
}
