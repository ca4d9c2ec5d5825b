/* store: the identities of one state of the files, and who gets which.
 *
 * A store is made of material (material.h). What is wrong in it is told by lines,
 * each with the file and what would be right; a set of certificates that cannot be
 * used is taken over from the store before, if that had it. Keys live as long as a
 * store that names them. */
#ifndef TERN_KEYS_STORE_H
#define TERN_KEYS_STORE_H

#include "config.h"
#include "hash.h"
#include "str.h"
#include "tls_chain.h"

#define STORE_SIDES 3 /* enum keys_side */

/* The certificates of a side or a name. */
struct store_set {
    char *title; /* the parameter, or the name in tls_server_sni_maps */
    struct tls_identities identities;
    struct buf staples[TLS_IDENTITY_LIMIT]; /* OCSP responses, DER; empty: none */
    bool inherited;                         /* from the store before, since the files of now are of no use */
    bool broken;                            /* and there was none before */
};

struct store_key {
    EVP_PKEY *key; /* borrowed from the set */
    bool server, client;
};

struct store {
    struct store_set sides[STORE_SIDES];
    struct map *names;           /* struct store_set * by the key of tls_server_sni_maps */
    struct map *keys;            /* struct store_key * by the key's name */
    struct buf errors, warnings; /* lines */
};

/* earlier: the store before, or NULL. now: seconds since 1970. */
struct store *store_create(const struct config *config, struct str material, const struct store *earlier, int64_t now);
void store_destroy(struct store **store);
/* The certificates for a server name, lower case: the name, then .domain of each domain above. NULL: none
 * (an empty name: never NULL, but perhaps without certificates). */
const struct store_set *store_find(const struct store *store, unsigned side, struct str name);
const struct store_key *store_key(const struct store *store, struct str name);
/* Whether no key of the other one is missing. */
bool store_has_all_keys(const struct store *store, const struct store *other);
/* Lines about certificates that have expired, will within warn_time (seconds), or are not valid yet. */
void store_check_dates(const struct store *store, int64_t warn_time, int64_t now, struct buf *lines);

#endif
