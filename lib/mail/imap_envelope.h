/* imap_envelope: the ENVELOPE of a message.
 *
 * RFC 9051 7.5.2 (and RFC 3501 7.4.2). Values are unfolded, encoded words left as
 * they are. An address field that occurs more than once counts as one list. A
 * member that is no address keeps its bytes as the mailbox name; an address
 * without a domain has the empty string for one, since NIL marks a group. */
#ifndef TERN_IMAP_ENVELOPE_H
#define TERN_IMAP_ENVELOPE_H

#include "buf.h"
#include "str.h"

/* Appends "(date subject from sender reply-to to cc bcc in-reply-to message-id)"
 * of a message (or its header alone). */
void imap_envelope_append(struct buf *out, struct str message);

#endif
