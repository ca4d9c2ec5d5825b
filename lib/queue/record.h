/* Records of the queue file: framing with a check sum, and the fields inside.
 * Pure; every read is bounded by the bytes given. */
#ifndef TERN_RECORD_H
#define TERN_RECORD_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

#define RECORD_FRAME_SIZE ((size_t)9)
#define RECORD_LIMIT      ((size_t)16384)

/* Begins a record of a type at the end of bytes; returns where, for record_end. */
size_t record_begin(struct buf *bytes, char type);
bool record_number(struct buf *bytes, uint64_t number);
bool record_text(struct buf *bytes, struct str text);
/* Fills in length and check sum. */
bool record_end(struct buf *bytes, size_t begin);

/* The next record of *rest: its type and fields. False at the end or where the
 * bytes are no whole record (then *rest stands before it). */
MUST_USE bool record_next(struct str *rest, char *type, struct str *fields);
/* Passes over what may be a record by its length alone. False: it is none, or longer than the rest. */
MUST_USE bool record_skip(struct str *rest);
MUST_USE bool record_read_number(struct str *fields, uint64_t *number);
MUST_USE bool record_read_text(struct str *fields, struct str *text);

#endif
