/* idn: the two conversions of internationalized names that libidn2 does for domain.c
 * (UTS #46, non-transitional). The sendmail command has them from ctl/idn_late.c instead. */
#ifndef TERN_IDN_H
#define TERN_IDN_H

#include "buf.h"
#include "str.h"

/* Appends the A-label form of a name in UTF-8. False (and nothing appended) if there is none. */
MUST_USE bool idn_append_ascii(struct buf *out, struct str name);
/* Appends the U-label form of a name in A-labels. False (and nothing appended) if there is none. */
MUST_USE bool idn_append_unicode(struct buf *out, struct str name);

#endif
