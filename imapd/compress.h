/* compress: COMPRESS=DEFLATE beneath a stream (RFC 4978). */
#ifndef TERN_IMAP_COMPRESS_H
#define TERN_IMAP_COMPRESS_H

#include "stream.h"

/* Everything from here on goes through deflate in both directions. The stream's input buffer is empty, or what
 * is in it is passed as the first compressed bytes. False: out of memory. */
MUST_USE bool compress_begin(struct stream *stream, struct str first);

#endif
