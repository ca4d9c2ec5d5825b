/* subject: the address that is asked about, in its parts, and the order in which
 * tables are asked for it. */
#ifndef TERN_LOOKUP_SUBJECT_H
#define TERN_LOOKUP_SUBJECT_H

#include "address.h"
#include "lookup.h"

#define SUBJECT_ADDRESS_FLAGS (MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG | MAIL_ADDRESS_LOCAL_ONLY)

/* Texts point into the subject itself: do not copy it. */
struct subject {
    struct mail_address address; /* with a domain: myorigin where the question had none */
    struct str local, domain;
    struct str base, extension; /* base: the local part without extension and delimiter */
    bool has_extension;
    bool had_domain;
    bool asks_bare_names; /* tables are asked for the name without domain too */
};

/* Text in internal form. False if it is no address; failure is about tables only
 * when *retry becomes true. */
MUST_USE bool subject_make(struct lookup *lookup, struct str text, struct subject *subject, bool *retry,
                           struct failure *failure);
/* The same from an address that is known to be one; false for a table that does not answer. */
MUST_USE bool subject_from_address(struct lookup *lookup, const struct mail_address *address, struct subject *subject,
                                   struct failure *failure);

/* What tables are asked for, in this order. */
enum subject_key {
    KEY_ADDRESS = 1 << 0,      /* user+ext@domain */
    KEY_ADDRESS_BASE = 1 << 1, /* user@domain */
    KEY_NAME = 1 << 2,         /* user+ext, for domains of this machine */
    KEY_NAME_BASE = 1 << 3,    /* user */
    KEY_DOMAIN = 1 << 4,       /* @domain */
    KEY_ALL = (1 << 5) - 1,
    KEY_ADDRESSES = KEY_ADDRESS | KEY_ADDRESS_BASE,
};

struct subject_found {
    enum subject_key key;
    struct source *source;
    /* The extension was not part of the key that was found. */
    bool extension_unmatched;
};

/* found may be NULL. The value is appended. */
MUST_USE enum table_result subject_find(struct lookup *lookup, struct table_maps *maps, const struct subject *subject,
                                        unsigned keys, struct buf *value, struct subject_found *found,
                                        struct failure *failure);
/* The same where only being there counts. */
MUST_USE enum table_result subject_is_in(struct lookup *lookup, struct table_maps *maps, const struct subject *subject,
                                         unsigned keys, struct failure *failure);

#endif
