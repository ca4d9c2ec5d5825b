/* base64: RFC 4648 section 4, strictly.
 *
 * No line breaks, padding required, bits after the end zero. */
#ifndef TERN_BASE64_H
#define TERN_BASE64_H

#include "buf.h"
#include "str.h"

/* Octets that encoding length octets gives. */
static inline size_t base64_encoded_length(size_t length) {
    return (length + 2) / 3 * 4;
}

/* Appends the encoding of data. False if out's limit forbids it. */
bool base64_encode(struct buf *out, struct str data);
/* Appends what text encodes. False, and nothing appended, if a character is
 * outside the alphabet, padding is wrong, or out's limit forbids it. Wipe out
 * with buf_free_secret if it was a secret. */
MUST_USE bool base64_decode(struct buf *out, struct str text);

#endif
