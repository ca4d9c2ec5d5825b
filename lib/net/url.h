/* url: the parts of an http or https URL that a request needs (RFC 3986 section 3).
 *
 * Only what tern itself asks for or is told by records: no user information, no
 * fragment, no relative references, printable ASCII. A pure function. */
#ifndef TERN_URL_H
#define TERN_URL_H

#include "compiler.h"
#include "str.h"

#define URL_LIMIT ((size_t)2000)

struct url {
    bool secure;       /* https */
    struct str host;   /* a name as it was written, or an address without brackets */
    bool is_address;   /* the host is an IP address */
    uint16_t port;     /* 443 or 80 if none was given */
    struct str target; /* path and query; may be empty */
};

/* False (url untouched) if it is none of these, or longer than URL_LIMIT. Borrows from text. */
MUST_USE bool url_parse(struct str text, struct url *url);

#endif
