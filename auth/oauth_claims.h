/* oauth_claims: what a token, or the server that was asked about it (RFC 7662), says of
 * its bearer, held against what a source accepts. Pure. */
#ifndef TERN_OAUTH_CLAIMS_H
#define TERN_OAUTH_CLAIMS_H

#include <jansson.h>

#include "buf.h"
#include "failure.h"
#include "str.h"

struct oauth_policy {
    struct str issuers;    /* list; the token's must be among them */
    struct str audience;   /* list; one of the token's must be among them; empty: any */
    struct str scope;      /* list; the token must have them all; empty: any */
    struct str user;       /* the claim that is the account's name */
    int64_t clock_skew;    /* seconds */
    bool must_name_issuer; /* a token that says it itself; a server that is asked may leave it out */
    bool must_expire;
};

enum oauth_verdict {
    OAUTH_GOOD,    /* *user is set: a part of claims */
    OAUTH_BAD,     /* failure says why */
    OAUTH_FOREIGN, /* of another issuer: not for this source */
};

/* now: seconds since 1970. */
MUST_USE enum oauth_verdict oauth_claims_check(const json_t *claims, const struct oauth_policy *policy, int64_t now,
                                               struct str *user, struct failure *failure);
/* Appends text as a form has it (application/x-www-form-urlencoded). */
void oauth_form_encode(struct str text, struct buf *out);

#endif
