/* cat_envelope: the envelope of a queue file and its events, as text for people and as JSON. */
#ifndef TERN_CAT_ENVELOPE_H
#define TERN_CAT_ENVELOPE_H

#include "queue_file.h"

/* Appends a line for each thing known. tail: the bytes after the content, which stand at
 * offset in the file; with_offsets: each line begins with where it is from. False and the
 * reason if a part is damaged; what can be read is appended all the same. Pure. */
bool cat_envelope_format(const struct queue_header *header, struct str tail, uint64_t offset, bool with_offsets,
                         struct buf *out, struct failure *failure);
/* Appends one line of JSON. False if the file is no whole message. */
MUST_USE bool cat_envelope_json(int file, struct buf *out, struct failure *failure);

#endif
