/* message_search: SEARCH's strings, looked for in a message.
 *
 * RFC 9051 6.4.4: in what header fields say when they are decoded, and in the text
 * of parts, without transfer encoding and as UTF-8; case does not matter
 * (casemap). Parts that are no text are not looked into. */
#ifndef TERN_MESSAGE_SEARCH_H
#define TERN_MESSAGE_SEARCH_H

#include "casemap.h"
#include "imap_structure.h"

/* HEADER name key: true if a field of that name holds the key; an empty key is
 * held by any. header is a message's header, or the message. */
MUST_USE bool message_search_field(struct casemap_search *search, struct str header, const char *name);
/* True if any field, its name included, holds the key. */
MUST_USE bool message_search_header(struct casemap_search *search, struct str header);
/* BODY key: true if the text of a part, or a header within the body, holds the
 * key. parts are those of imap_structure_parts. */
MUST_USE bool message_search_body(struct casemap_search *search, struct str message, const struct imap_part *parts,
                                  size_t part_count);

#endif
