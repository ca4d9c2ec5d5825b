/* BDAT: takes the content in chunks of told length (RFC 3030 2).
 *
 * The bytes follow the command whatever we think of it, so a chunk that is refused
 * is read first; after a refusal all further chunks are refused up to RSET. */
#include "smtpd.h"

enum chunk_kind { CHUNK_TAKEN, CHUNK_SKIPPED };

/* Reads the chunk's bytes, into the content or away. True if all came. */
static bool read_chunk(struct session *session, uint64_t size, enum chunk_kind kind) {
    deadline until = content_deadline(session, deadline_in(session_timeout(session)), 0);
    while (size > 0) {
        struct str bytes;
        stream_set_deadline(session->stream, until < session->ends ? until : session->ends);
        enum stream_result result = stream_read_some(session->stream, size < 65536 ? (size_t)size : 65536, &bytes);
        if (result != STREAM_OK) {
            struct content *content = session->transaction ? session->transaction->content : NULL;
            session_broken(session, result, content ? (int64_t)content_received(content) : -1);
            return false;
        }
        size -= bytes.length;
        until = content_deadline(session, until, bytes.length);
        size_t used = 0;
        enum content_progress progress = kind == CHUNK_TAKEN ? content_take(session, bytes, &used) : CONTENT_MORE;
        if (progress == CONTENT_MORE) continue;
        content_refuse_newline(session, progress == CONTENT_BARE_CR);
        return false;
    }
    return true;
}

/* Refuses a chunk whose bytes have been read; the rest of the message will be refused too. */
static bool refuse(struct session *session, bool last, const struct refusal *refusal) {
    if (session->transaction) session->transaction->chunks_refused = true;
    return last ? content_refuse(session, refusal) : reply_refusal(session, refusal);
}

static bool skip(struct session *session, uint64_t size, bool last, const struct refusal *refusal) {
    return read_chunk(session, size, CHUNK_SKIPPED) && refuse(session, last, refusal);
}

static bool may_come(const struct session *session, struct refusal *refusal) {
    const struct transaction *transaction = session->transaction;
    if (!transaction)
        refusal_set(refusal, 503, "5.5.1", "Error: need MAIL command");
    else if (transaction->chunks_refused)
        refusal_set(refusal, 503, "5.5.1", "Error: a chunk was refused, send RSET");
    else if (transaction->recipient_count == 0 && transaction->refused_recipients)
        refusal_set(refusal, 554, "5.5.1", "Error: no valid recipients");
    else if (transaction->recipient_count == 0)
        refusal_set(refusal, 503, "5.5.1", "Error: need RCPT command");
    else
        return true;
    return false;
}

/* The first chunk opens the file. */
static bool begin(struct session *session, uint64_t size, bool last) {
    struct refusal refusal;
    if (!policy_data(session, "BDAT", &refusal)) return skip(session, size, last, &refusal);
    if (!content_open(session, &refusal)) {
        reply_log(session, "reject", "BDAT", &refusal, &session->transaction->sender, NULL);
        return skip(session, size, last, &refusal);
    }
    session->transaction->chunks = true;
    return true;
}

bool cmd_bdat(struct session *session, struct str argument) {
    struct refusal refusal;
    struct smtp_command_error error;
    uint64_t size = 0;
    bool last = false;
    /* Not told of, not taken; and its bytes are not to be read as commands. */
    if (smtpd_extension_is_discarded(session, "CHUNKING"))
        return reply(session, 521, "5.5.1", "Error: command not implemented");
    if (!smtp_parse_bdat(argument, INT64_MAX, &size, &last, &error)) {
        /* Nobody knows where the next command begins. */
        session->closing = true;
        return reply_command_error(session, &error);
    }
    if (!may_come(session, &refusal)) return skip(session, size, last, &refusal);
    if (!session->transaction->chunks && !begin(session, size, last)) return false;
    if (!read_chunk(session, size, CHUNK_TAKEN)) return false;
    if (!last && !content_fits(session, &refusal)) return reply_refusal(session, &refusal);
    if (!last) return reply(session, 250, "2.0.0", "Ok: %llu bytes", (unsigned long long)size);
    bool good = content_finish(session);
    session_reset(session);
    return good;
}
