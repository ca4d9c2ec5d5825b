/* tlsrpt_record: where a domain wants reports on TLS (RFC 8460 section 3). Pure. */
#ifndef TERN_TLSRPT_RECORD_H
#define TERN_TLSRPT_RECORD_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

#define TLSRPT_ADDRESS_LIMIT 8 /* places that reports are sent to; further ones are passed over */

struct tlsrpt_record {
    struct str places[TLSRPT_ADDRESS_LIMIT]; /* "mailto:..." and "https:..." URIs, as written */
    size_t count;
};

/* True for TXT records that count as such; if not exactly one of a name's does, nobody wants reports. */
bool tlsrpt_record_is_one(struct str text);
/* False (record untouched) if it cannot be read, or names no place that is understood. Borrows from the text. */
MUST_USE bool tlsrpt_record_parse(struct str text, struct tlsrpt_record *record);
/* The address of a mailto: URI in its internal form, appended. False (nothing appended) for any other URI. */
MUST_USE bool tlsrpt_place_mailbox(struct str place, struct buf *address);

#endif
