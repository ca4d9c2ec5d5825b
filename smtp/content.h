/* content: a message's content on its way from the queue file to a server.
 *
 * In the file lines end in LF. On the wire they end in CR LF and nothing else
 * does (RFC 5321 2.3.8): a CR before an LF goes away, any other becomes a space.
 * A line that begins with a dot gets another one; one that is longer than the
 * limit is broken, and goes on after CR LF and a space. */
#ifndef TERN_SMTP_CONTENT_H
#define TERN_SMTP_CONTENT_H

#include "buf.h"
#include "str.h"

struct content_writer {
    size_t line_limit;    /* octets without CR LF; 0: none */
    size_t column;        /* octets of the line so far */
    bool carriage_return; /* one was read, and what it is depends on the next octet */
};

/* Pure: converts a piece of any size; out grows by what goes on the wire. A
 * zeroed writer (but for line_limit) begins a message. */
void content_convert(struct content_writer *writer, struct str piece, struct buf *out);
/* Ends the last line if it was not, and adds the final dot. */
void content_finish(struct content_writer *writer, struct buf *out);

#endif
