/* kept_fields: the header fields that the cache keeps of each message. */
#ifndef TERN_IMAP_KEPT_FIELDS_H
#define TERN_IMAP_KEPT_FIELDS_H

#include "buf.h"

/* Whether the cache keeps a field of that name. */
bool kept_fields_have(struct str name);
/* Appends them out of a header, with more behind it perhaps. Pure. */
void kept_fields_append(struct buf *fields, struct str header);

#endif
