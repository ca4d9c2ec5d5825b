/* Lines that the client sends, and what is said to it: that gathers in session->out, and goes out when it is much. */
#include "imap.h"

#include "crlf_view.h"

#define OUT_PIECE 65536

bool imap_is_utf8(const struct imap_session *session) {
    return session->features & (FEATURE_UTF8 | FEATURE_REV2);
}

bool imap_flush(struct imap_session *session) {
    if (session->connection_lost) return false;
    stream_set_deadline(session->stream, deadline_in(session->settings->idle_timeout));
    bool good = stream_write(session->stream, buf_str(&session->out)) == STREAM_OK &&
                stream_flush(session->stream) == STREAM_OK;
    buf_clear(&session->out);
    session->connection_lost = !good;
    return good;
}

static void write_out(struct imap_session *session, struct str bytes) {
    if (session->connection_lost) return;
    stream_set_deadline(session->stream, deadline_in(session->settings->idle_timeout));
    if (stream_write(session->stream, bytes) != STREAM_OK) session->connection_lost = true;
}

/* What gathers goes to the stream's own buffer, and from there when that is full. */
static void write_piece(struct imap_session *session) {
    if (session->out.length < OUT_PIECE) return;
    write_out(session, buf_str(&session->out));
    buf_clear(&session->out);
}

void imap_say(struct imap_session *session, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(&session->out, format, arguments);
    va_end(arguments);
    write_piece(session);
}

/* What is long goes out from where it stands. */
void imap_say_bytes(struct imap_session *session, struct str bytes) {
    if (bytes.length < OUT_PIECE) {
        buf_append(&session->out, bytes);
        write_piece(session);
    } else {
        write_out(session, buf_str(&session->out));
        buf_clear(&session->out);
        write_out(session, bytes);
    }
}

void imap_say_number(struct imap_session *session, uint64_t number) {
    buf_append_u64(&session->out, number);
    write_piece(session);
}

void imap_say_flags(struct imap_session *session, const struct message_flags *flags) {
    imap_append_flags(&session->out, session->folder, flags);
    write_piece(session);
}

/* A literal cannot hold NUL (RFC 3501 section 9). */
static void show_nuls(struct buf *text, size_t from) {
    for (char *at = text->data + from, *end = text->data + text->length; from < text->length; at++) {
        at = memchr(at, '\0', (size_t)(end - at));
        if (!at) return;
        *at = IMAP_NUL_SHOWN;
    }
}

void imap_say_view(struct imap_session *session, struct str bytes, uint64_t offset, uint64_t length) {
    struct crlf_cursor cursor = {0};
    while (length > 0 && !session->connection_lost) {
        uint64_t piece = length < OUT_PIECE ? length : OUT_PIECE;
        size_t before = session->out.length;
        (void)!crlf_view_append(&session->out, bytes, offset, piece, &cursor);
        show_nuls(&session->out, before);
        offset += piece;
        length -= piece;
        write_piece(session);
    }
}

bool imap_continue(struct imap_session *session, const char *text) {
    imap_say(session, "+ %s\r\n", text);
    return imap_flush(session);
}

/* ---- reading */

/* Waits for the client; what was put off is settled meanwhile. */
static enum stream_result wait_for_line(struct imap_session *session, struct str *line) {
    deadline ends = deadline_in(session->settings->idle_timeout);
    while (session->unsettled != DEADLINE_NEVER && session->unsettled < ends && stream_pending(session->stream) == 0) {
        stream_set_deadline(session->stream, session->unsettled);
        enum stream_result result = stream_fill(session->stream, 0);
        if (result == STREAM_OK) break;
        if (result != STREAM_TIMEOUT) return result;
        imap_settle(session);
    }
    stream_set_deadline(session->stream, ends);
    return stream_read_line(session->stream, line);
}

bool imap_read_line(struct imap_session *session, struct str *line) {
    switch (wait_for_line(session, line)) {
    case STREAM_OK:
        return true;
    case STREAM_TOO_LONG:
        imap_say(session, "* BYE Line too long\r\n");
        break;
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
    case STREAM_NUL:
        imap_say(session, "* BYE Lines end in CR LF, and have no NUL\r\n");
        break;
    case STREAM_TIMEOUT:
        imap_say(session, "* BYE Disconnected for inactivity\r\n");
        break;
    case STREAM_CANCELLED:
        imap_say(session, "* BYE Server shutting down\r\n");
        break;
    case STREAM_EOF:
    case STREAM_ERROR:
        session->connection_lost = true;
        break;
    }
    session->logging_out = true;
    return false;
}
