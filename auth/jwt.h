/* jwt: signed tokens (RFC 7519, 7515) and the keys that they are checked with (RFC 7517).
 *
 * Only the compact form with three parts, and only signatures made with a private key:
 * RS256/384/512, PS256/384/512, ES256/384, EdDSA (Ed25519). "none" and the HS family are
 * not known at all, and a key's own type decides which algorithms it can be used with, so
 * a public key is never taken for a shared secret (RFC 8725 section 3.1). Parsing is pure
 * and bounded (jwt_text.h). */
#ifndef TERN_JWT_H
#define TERN_JWT_H

#include <jansson.h>

#include "buf.h"
#include "failure.h"
#include "memory.h"
#include "jwt_text.h"
#include "str.h"

#define JWT_TOKEN_MAX  ((size_t)12288)
#define JWT_KEYS_MAX   64
#define JWT_KID_MAX    256
#define JWKS_BYTES_MAX ((size_t)150000)

/* ---- a token */

struct jwt {
    json_t *header, *claims;
    struct str algorithm, key_id; /* in header; key_id empty: none */
    struct str input;             /* what is signed: a part of the token */
    struct buf signature;
};

/* False with what is wrong; *jwt is then empty. The token must stay while it is used. */
MUST_USE bool jwt_parse(struct str token, struct jwt *jwt, struct failure *failure);
void jwt_free(struct jwt *jwt);
/* Whether it looks like a token of this kind at all: three parts with dots between. */
bool jwt_looks_like_one(struct str token);
/* Whether an algorithm is one of those above. */
bool jwt_algorithm_is_known(struct str algorithm);

/* ---- keys */

struct jwt_keys;

/* A JWK set. Keys of other kinds, for encryption, too short or malformed are left out; *left_out
 * counts them. NULL with what is wrong if it is no set, or has none that can be used. */
MUST_USE struct jwt_keys *jwt_keys_parse(struct str text, size_t *left_out, struct failure *failure);
void jwt_keys_free(struct jwt_keys **keys);
size_t jwt_keys_count(const struct jwt_keys *keys);

enum jwt_check {
    JWT_GOOD,
    JWT_BAD,    /* the signature is not by a key that it may be by */
    JWT_NO_KEY, /* no key of that name for that algorithm: perhaps a new one */
};
MUST_USE enum jwt_check jwt_check(const struct jwt *jwt, const struct jwt_keys *keys);

#endif
