/* crlf_view: a message's bytes as IMAP and POP3 show them, with CR LF line ends.
 *
 * Files of a mailbox have LF, CR LF or both. In the CR LF form a LF without a CR
 * before it counts as CR LF; everything else stays. Nothing is built whole:
 * sizes are counted, ranges are written piece by piece. A span begins at the
 * start of a line (a LF as its first byte is taken as bare). */
#ifndef TERN_CRLF_VIEW_H
#define TERN_CRLF_VIEW_H

#include "buf.h"
#include "str.h"

struct crlf_count {
    uint64_t size;  /* octets of the CR LF form; equal to the span's length if it has that form already */
    uint64_t lines; /* line ends */
};
/* Counts a span, at memory's speed. */
struct crlf_count crlf_view_count(struct str span);

/* A place that is known in both forms: where a reader that takes one range after
 * the other left off. Zeroed, it is the start. */
struct crlf_cursor {
    uint64_t view; /* offset in the CR LF form */
    size_t file;   /* offset in the span; a LF there has its CR shown already if view says so */
    bool after_cr; /* the CR of the bare LF at file was shown, its LF not yet */
};

/* Gets the pieces in order; false ends the writing. A piece lives for the call. */
typedef bool (*crlf_view_sink)(void *context, struct str piece);
/* Writes octets [offset, offset + count) of the span's CR LF form, cut to what
 * there is. cursor may be NULL; it saves counting from the start where offset
 * is at or after it, and then stands after the range. False if the sink refused. */
bool crlf_view_write(struct str span, uint64_t offset, uint64_t count, struct crlf_cursor *cursor, crlf_view_sink sink,
                     void *context);
/* The same, appended to out. False (with a part of it appended) if out's limit
 * forbids it. */
bool crlf_view_append(struct buf *out, struct str span, uint64_t offset, uint64_t count, struct crlf_cursor *cursor);
/* Appends the whole of a span in CR LF form. */
bool crlf_view_append_all(struct buf *out, struct str span);

#endif
