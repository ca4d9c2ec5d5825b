/* sort_key: octets that compare as SORT's criteria do.
 *
 * RFC 5256 3 (SORT) and RFC 5957 (DISPLAYFROM, DISPLAYTO). A message's key is
 * made of its criteria's keys one after the other, its number last; keys compare
 * by octets (str_compare), and none is the beginning of another. */
#ifndef TERN_SORT_KEY_H
#define TERN_SORT_KEY_H

#include "buf.h"
#include "str.h"

#define SORT_KEY_TEXT_MAX 1024 /* octets of a text that are compared */

/* Appends a date, a size or a sequence number. reverse: the greater comes first. */
void sort_key_append_number(struct buf *key, int64_t number, bool reverse);
/* Appends a text that casemap has folded. */
void sort_key_append_text(struct buf *key, struct str folded, bool reverse);

/* What is compared of a Subject field: the folded base subject; appended to out. */
void sort_text_subject(struct buf *out, struct str field);
/* Of From, To or Cc: the folded mailbox name of the first address, or of the
 * group that comes first; empty if there is none. */
void sort_text_address(struct buf *out, struct str field);
/* For DISPLAYFROM and DISPLAYTO: its folded display name, decoded, or
 * "mailbox@host" if it has none. */
void sort_text_display(struct buf *out, struct str field);
/* Both at once; either may be NULL. */
void sort_texts_address(struct buf *address, struct buf *display, struct str field);

#endif
