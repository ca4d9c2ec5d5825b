/* domain: the syntax of domain names and address literals.
 *
 * RFC 1035 2.3.1, RFC 1123 2.1, RFC 5321 4.1.2 and 4.1.3, RFC 5890. The
 * conversions are libidn2's (UTS #46 non-transitional), bounded by the length
 * limits here. Nothing here resolves a name. */
#ifndef TERN_DOMAIN_H
#define TERN_DOMAIN_H

#include "buf.h"
#include "str.h"

#define DOMAIN_LENGTH_MAX       255 /* octets, RFC 5321 4.5.3.1.2 */
#define DOMAIN_LABEL_LENGTH_MAX 63
#define DOMAIN_LITERAL_MAX      255

enum domain_flag {
    DOMAIN_UNDERSCORE = 1,   /* '_' counts as a letter (names seen in practice, SRV owners) */
    DOMAIN_TRAILING_DOT = 2, /* one dot at the end is accepted */
    DOMAIN_UTF8 = 4,         /* U-labels are accepted (RFC 6531) */
    DOMAIN_QUALIFIED = 8,    /* at least two labels */
};

enum domain_kind {
    DOMAIN_INVALID,
    DOMAIN_NAME,
    DOMAIN_LITERAL_IPV4,    /* [192.0.2.1] */
    DOMAIN_LITERAL_IPV6,    /* [IPv6:2001:db8::1] */
    DOMAIN_LITERAL_GENERAL, /* [tag:content] */
};

/* True if name is letters, digits and hyphens in labels of at most 63 octets,
 * with no hyphen at a label's ends, not all numeric in the last label, and at
 * most 255 octets. Flags are of enum domain_flag. With DOMAIN_UTF8 the name's
 * A-label form must satisfy the same. */
bool domain_is_valid(struct str name, unsigned flags);

/* What a Domain or address-literal of RFC 5321 is; DOMAIN_INVALID if neither. */
enum domain_kind domain_classify(struct str text, unsigned flags);

/* The address inside an IPv4 or IPv6 literal's brackets, without the tag;
 * empty for anything else. Borrowed from text. */
struct str domain_literal_address(struct str text);

/* Writes the bracketed literal for an address in presentation form. */
bool domain_append_literal(struct buf *out, struct str address);

/* Appends the name in A-labels, lower case, trailing dot dropped. False (and
 * nothing appended) if the name has none. */
MUST_USE bool domain_append_ascii(struct buf *out, struct str name);
/* Appends the name in U-labels where its A-labels decode; others stay. False
 * (and nothing appended) if the name is invalid. */
MUST_USE bool domain_append_unicode(struct buf *out, struct str name);

#endif
