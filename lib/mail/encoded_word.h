/* encoded_word: header text as UTF-8.
 *
 * RFC 2047, with the language of RFC 2231 5. Read leniently: encoded words count
 * wherever they stand and however long they are; a character that is cut
 * between two adjacent words of one charset is joined. */
#ifndef TERN_ENCODED_WORD_H
#define TERN_ENCODED_WORD_H

#include "buf.h"
#include "str.h"

/* Appends a header value (folded or not) decoded and unfolded: well-formed UTF-8
 * without control characters of ASCII but the tab (they become spaces). What is
 * not encoded counts as UTF-8. False if out's limit was reached. */
bool encoded_word_decode(struct str value, struct buf *out);
/* True if the value may hold an encoded word, or is not ASCII: else decoding
 * would only unfold it. */
bool encoded_word_is_needed(struct str value);

#endif
