/* base_subject: a subject without what replies and forwards put around it.
 *
 * RFC 5256 2.1, step by step, in time proportional to the length. */
#ifndef TERN_BASE_SUBJECT_H
#define TERN_BASE_SUBJECT_H

#include "buf.h"
#include "str.h"

/* Appends the base subject of a Subject field's value (folded, with encoded
 * words) in UTF-8, its case as it was; comparing is casemap's. True if something
 * of a reply or forward was taken off: "Re:", "Fwd:", "(fwd)", "[Fwd: ...]". */
bool base_subject_append(struct buf *out, struct str field);

#endif
