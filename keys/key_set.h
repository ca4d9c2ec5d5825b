/* key_set: the certificates with their keys that one side or one server name has, made of files that have
 * been read. */
#ifndef TERN_KEY_SET_H
#define TERN_KEY_SET_H

#include "hash.h"
#include "material.h"
#include "tls_chain.h"

#define KEY_SET_DIGEST 32

struct key_set {
    char *title; /* the parameter, or the name in tls_server_sni_maps, for messages */
    struct tls_identities identities;
    struct buf staples[TLS_IDENTITY_LIMIT];    /* OCSP responses, DER; empty: none */
    int64_t staples_until[TLS_IDENTITY_LIMIT]; /* date up to which they are good */
    bool inherited;                            /* from the set before, since the files of now are of no use */
    bool broken;                               /* and there was none before */
    const struct material_item *pending;       /* not made yet: the name and its files */
    uint8_t digest[KEY_SET_DIGEST];            /* of the files, where it was made of a list */
};

/* What sets are made of, and where what is found goes. */
struct key_files {
    struct map *items;             /* struct material_item * by path */
    int64_t now;                   /* seconds since 1970 */
    struct buf *errors, *warnings; /* lines */
};

struct key_set *key_set_create(struct str title);
/* Frees what is in it; key_set_free the set too. */
void key_set_clear(struct key_set *set);
void key_set_free(struct key_set *set);
/* Makes it of a list of files. False: an error line says why, and it is as it was. */
MUST_USE bool key_set_read(struct key_set *set, const struct key_files *files, struct str list);
/* The same of pairs of a certificate's file and its key's. */
MUST_USE bool key_set_read_pairs(struct key_set *set, const struct key_files *files,
                                 const struct material_parameters *parameters);
/* Shares another's certificates, keys and responses. */
void key_set_copy(struct key_set *set, const struct key_set *from);
/* The sum of a list of files, their bytes and modes and responses. */
void key_set_digest(const struct key_files *files, struct str list, uint8_t digest[KEY_SET_DIGEST]);
/* Empties OCSP responses that are no longer good, with a line for each; how many. */
size_t key_set_drop_staples(struct key_set *set, int64_t now, struct buf *lines);
/* Lines about certificates that have expired, will within warn_time (seconds), or are not valid yet. */
void key_set_check_dates(const struct key_set *set, int64_t warn_time, int64_t now, struct buf *lines);
/* Appends a line. */
void key_line(struct buf *lines, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
