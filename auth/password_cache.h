/* password_cache: which passwords were right a moment ago, so that a client that logs in for every message costs one
 * hash and not many.
 *
 * What is kept is a keyed digest of account, stored secret and password under a key of this process; so a changed
 * secret is another entry. Of fixed size; what has grown old is wiped. */
#ifndef TERN_AUTH_PASSWORD_CACHE_H
#define TERN_AUTH_PASSWORD_CACHE_H

#include "compiler.h"
#include "str.h"

struct password_cache;

/* seconds: how long an entry is good; 0: nothing is kept. NULL if there is no randomness to be had. */
struct password_cache *password_cache_create(int64_t seconds);
/* Whether this password was right for the account and its secret not longer ago. */
MUST_USE bool password_cache_has(struct password_cache *cache, struct str account, struct str secret,
                                 struct str password);
/* It was. Only a keyed digest is kept, in the place of another one. */
void password_cache_add(struct password_cache *cache, struct str account, struct str secret, struct str password);
/* Wipes what is old; about once a second. */
void password_cache_expire(struct password_cache *cache);

#endif
