/* utf8: one code point at a time.
 *
 * RFC 3629: no overlong forms, no surrogates, at most U+10FFFF. */
#ifndef TERN_UTF8_H
#define TERN_UTF8_H

#include "buf.h"
#include "str.h"

/* Octets of the code point at s's start, and the code point; 0 if s is empty
 * or malformed there (*code_point untouched). */
size_t utf8_decode(struct str s, uint32_t *code_point);
/* Appends a code point. False (nothing appended) for a surrogate or one past
 * U+10FFFF. */
bool utf8_append(struct buf *out, uint32_t code_point);
/* True for C0 and C1 controls, DEL, line and paragraph separators. */
static inline bool utf8_is_control(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}
/* True if s is well-formed UTF-8 without such controls. */
bool utf8_is_text(struct str s);

#endif
