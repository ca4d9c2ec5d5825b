/* DATA: takes the content, line by line, up to the final dot (RFC 5321 4.1.1.4). */
#include "smtpd.h"

/* Reads until the final dot. True once it came. */
static bool read_content(struct session *session) {
    deadline until = content_deadline(session, deadline_in(session_timeout(session)), 0);
    for (;;) {
        struct str bytes = stream_peek(session->stream);
        if (bytes.length == 0) {
            stream_set_deadline(session->stream, until < session->ends ? until : session->ends);
            enum stream_result result = stream_fill(session->stream, 0);
            if (result != STREAM_OK) {
                session_broken(session, result, (int64_t)content_received(session->transaction->content));
                return false;
            }
            continue;
        }
        size_t used = 0;
        enum content_progress progress = content_take(session, bytes, &used);
        stream_consume(session->stream, used);
        until = content_deadline(session, until, used);
        if (progress == CONTENT_END) return true;
        if (progress != CONTENT_MORE) {
            content_refuse_newline(session, progress == CONTENT_BARE_CR);
            return false;
        }
    }
}

bool cmd_data(struct session *session, struct str argument) {
    struct refusal refusal;
    if (argument.length > 0) return reply(session, 501, "5.5.4", "Syntax: DATA");
    if (session->transaction->body == SMTP_BODY_BINARYMIME) /* RFC 3030 3 */
        return reply(session, 503, "5.5.1", "Error: BODY=BINARYMIME needs BDAT");
    if (session->transaction->chunks_refused) /* RFC 3030 2 */
        return reply(session, 503, "5.5.1", "Error: a chunk was refused, send RSET");
    if (stream_readable_now(session->stream) && session_refuse_pipelining(session)) return false;
    if (!policy_data(session, "DATA", &refusal)) return reply_refusal(session, &refusal);
    if (!content_open(session, &refusal)) {
        reply_log(session, "reject", "DATA", &refusal, &session->transaction->sender, NULL);
        session_reset(session);
        return reply_refusal(session, &refusal);
    }
    reply(session, 354, "", "End data with <CR><LF>.<CR><LF>");
    bool good = read_content(session) && content_finish(session);
    session_reset(session);
    return good;
}
