/* mutf7: mailbox names in modified UTF-7, as IMAP4rev1 has them on the wire.
 *
 * RFC 3501 5.1.3. Strict: each name has one spelling, so that what decodes
 * encodes to the same octets again. Names without controls only (RFC 6855 3). */
#ifndef TERN_MUTF7_H
#define TERN_MUTF7_H

#include "buf.h"
#include "str.h"

/* Appends the UTF-8 of a name. False, and nothing appended, if it is no modified
 * UTF-7 in its canonical form, or out's limit forbids it. Wildcards stay. */
MUST_USE bool mutf7_decode(struct buf *out, struct str name);
/* Appends the modified UTF-7 of a UTF-8 name. False, and nothing appended, if
 * name is not UTF-8, has control characters, or out's limit forbids it. */
MUST_USE bool mutf7_encode(struct buf *out, struct str name);

#endif
