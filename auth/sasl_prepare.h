/* sasl_prepare: SASLprep (RFC 4013), the one form in which names and passwords are compared. Pure. */
#ifndef TERN_AUTH_SASL_PREPARE_H
#define TERN_AUTH_SASL_PREPARE_H

#include "buf.h"

#define SASL_PREPARE_MAX ((size_t)1024)

/* Appends the prepared form of a text of UTF-8. False, and nothing appended, if it is not UTF-8, has a character that
 * is prohibited, mixes directions as RFC 3454 section 6 forbids, is empty afterwards, or is longer than the maximum. */
MUST_USE bool sasl_prepare(struct str text, struct buf *prepared);

#endif
