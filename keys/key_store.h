/* key_store: the certificates and keys of one state of the files, and who gets which.
 *
 * A store is made of material (material.h). What is wrong in it is told by lines,
 * each with the file and what would be right; a set of certificates that cannot be
 * used is taken over from the store before, if that had it, and so is one whose files
 * are what they were. Decoding a key takes a millisecond, and there may be thousands: a
 * store is made piece by piece, and a name that is asked for meanwhile comes first. */
#ifndef TERN_KEY_STORE_H
#define TERN_KEY_STORE_H

#include "config.h"
#include "key_set.h"
#include "str.h"

#define STORE_SIDES 3 /* enum keys_side */

struct held_key {
    EVP_PKEY *key; /* borrowed from a set */
    bool server, client;
};

struct key_store {
    struct key_set *sides[STORE_SIDES];
    struct map *names;           /* struct key_set * by the key of tls_server_sni_maps */
    struct map *keys;            /* struct held_key * by the key's name */
    struct buf errors, warnings; /* lines, of what is made so far */
    /* How far it is made. */
    struct map *digests; /* struct key_set * by the sum of the files */
    const struct key_store *earlier;
    struct buf material;
    struct material_item *items;
    size_t item_count, next;
    struct key_files files;
};

/* Begins one: the sides are made, names are not. The material is taken over, and wiped when
 * all is made. earlier: the store before, or NULL; it has to live until then. now: seconds since 1970. */
struct key_store *key_store_create(const struct config *config, struct buf *material, const struct key_store *earlier,
                                   int64_t now);
/* Makes at most so many names that are not made yet. False: all are. */
bool key_store_work(struct key_store *store, size_t count);
void key_store_destroy(struct key_store **store);
/* The certificates for a server name, lower case: the name, then .domain of each domain above. NULL: none
 * (an empty name: never NULL, but perhaps without certificates). */
const struct key_set *key_store_find(struct key_store *store, unsigned side, struct str name);
const struct held_key *key_store_key(const struct key_store *store, struct str name);
/* key_set_drop_staples and key_set_check_dates for all sets. */
size_t key_store_drop_staples(struct key_store *store, int64_t now, struct buf *lines);
void key_store_check_dates(const struct key_store *store, int64_t warn_time, int64_t now, struct buf *lines);

#endif
