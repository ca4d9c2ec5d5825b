/* imap_text: strings as IMAP's responses write them.
 *
 * RFC 3501 and RFC 9051, 4.3: quoted where that is possible (no line ends, no
 * octets above ASCII, not too long), else as a literal. NUL, which neither can
 * hold, becomes '?'. */
#ifndef TERN_IMAP_TEXT_H
#define TERN_IMAP_TEXT_H

#include "buf.h"
#include "str.h"

#define IMAP_TEXT_QUOTED_MAX 4096 /* octets; longer ones are literals */

/* Appends a string. */
void imap_text_append_string(struct buf *out, struct str s);
/* Appends a string, or NIL for one without data (data is NULL). */
void imap_text_append_nstring(struct buf *out, struct str s);

#endif
