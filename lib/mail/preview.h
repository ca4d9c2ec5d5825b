/* preview: the first words of a message, for a list of messages.
 *
 * RFC 8970. At most PREVIEW_CHARACTERS characters of UTF-8 on one line, from the
 * first text/plain or text/html part that is no attachment (plain where an
 * alternative offers both). Blanks are drawn together, quoted text is left out
 * where there is other text, HTML loses its tags. Only so much of a part is read. */
#ifndef TERN_PREVIEW_H
#define TERN_PREVIEW_H

#include "imap_structure.h"

#define PREVIEW_CHARACTERS 200
#define PREVIEW_READ_MAX   ((size_t)256 * 1024) /* octets of a part that are looked at */

/* Appends the preview of a message, whose parts are those of imap_structure_parts;
 * nothing if no part has text. */
void preview_append(struct buf *out, struct str message, const struct imap_part *parts, size_t part_count);
/* Appends the preview of a text that is UTF-8 already. */
void preview_append_text(struct buf *out, struct str text, bool html);

#endif
