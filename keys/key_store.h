/* key_store: the identities of one state of the files, and who gets which.
 *
 * A store is made of material (material.h). What is wrong in it is told by lines,
 * each with the file and what would be right; a set of certificates that cannot be
 * used is taken over from the store before, if that had it. Keys live as long as a
 * store that names them. */
#ifndef TERN_KEY_STORE_H
#define TERN_KEY_STORE_H

#include "config.h"
#include "hash.h"
#include "str.h"
#include "tls_chain.h"

#define STORE_SIDES 3 /* enum keys_side */

/* The certificates of a side or a name. */
struct key_set {
    char *title; /* the parameter, or the name in tls_server_sni_maps */
    struct tls_identities identities;
    struct buf staples[TLS_IDENTITY_LIMIT];    /* OCSP responses, DER; empty: none */
    int64_t staples_until[TLS_IDENTITY_LIMIT]; /* date up to which they are good */
    bool inherited;                            /* from the store before, since the files of now are of no use */
    bool broken;                               /* and there was none before */
};

struct held_key {
    EVP_PKEY *key; /* borrowed from the set */
    bool server, client;
};

struct key_store {
    struct key_set sides[STORE_SIDES];
    struct map *names;           /* struct key_set * by the key of tls_server_sni_maps */
    struct map *keys;            /* struct held_key * by the key's name */
    struct buf errors, warnings; /* lines */
};

/* earlier: the store before, or NULL. now: seconds since 1970. pause is called now and then, so that a task that makes
 * a large one can let others run; NULL: not. */
struct key_store *key_store_create(const struct config *config, struct str material, const struct key_store *earlier,
                                   int64_t now, void (*pause)(void));
void key_store_destroy(struct key_store **store);
/* The certificates for a server name, lower case: the name, then .domain of each domain above. NULL: none
 * (an empty name: never NULL, but perhaps without certificates). */
const struct key_set *key_store_find(const struct key_store *store, unsigned side, struct str name);
const struct held_key *key_store_key(const struct key_store *store, struct str name);
/* Empties OCSP responses that are no longer good, with a line for each; how many. */
size_t key_store_drop_staples(struct key_store *store, int64_t now, struct buf *lines);
/* Lines about certificates that have expired, will within warn_time (seconds), or are not valid yet. */
void key_store_check_dates(const struct key_store *store, int64_t warn_time, int64_t now, struct buf *lines);

#endif
