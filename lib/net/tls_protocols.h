/* tls_protocols: which versions of TLS a list in Postfix's manner leaves.
 *
 * The list has names (SSLv3, TLSv1, TLSv1.1, TLSv1.2, TLSv1.3; SSLv2 is known and
 * never there), "!NAME" to leave one out, ">=NAME" and "<=NAME" for bounds, parted
 * by spaces, commas or colons. Where names stand without "!", only those are left. */
#ifndef TERN_TLS_PROTOCOLS_H
#define TERN_TLS_PROTOCOLS_H

#include "compiler.h"
#include "failure.h"
#include "str.h"

enum tls_version {
    TLS_VERSION_SSL3,
    TLS_VERSION_1_0,
    TLS_VERSION_1_1,
    TLS_VERSION_1_2,
    TLS_VERSION_1_3,
    TLS_VERSION_COUNT
};

/* Sets the versions as bits (1 << enum tls_version). False, with the word that is
 * wrong in failure, if the list cannot be read or leaves none. */
MUST_USE bool tls_protocols_parse(struct str list, unsigned *versions, struct failure *failure);
/* The number that goes on the wire (0x0303). */
uint16_t tls_version_number(enum tls_version version);

#endif
