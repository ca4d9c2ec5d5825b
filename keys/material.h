/* material: what lies on disk of certificates and keys, as bytes.
 *
 * Gathering needs rights (the files are root's) and understands nothing; making
 * something of it (key_store.h) understands and needs no rights. Between the two the
 * material goes as one run of bytes. tern check does both in one process. */
#ifndef TERN_MATERIAL_H
#define TERN_MATERIAL_H

#include "buf.h"
#include "config.h"
#include "hash.h"
#include "table.h"
#include "table_file.h"

enum material_kind {
    MATERIAL_FILE = 1,    /* name: its path, value: its bytes */
    MATERIAL_MISSING = 2, /* name: a path, value: why it could not be read */
    MATERIAL_NAME = 3,    /* name: a key of tls_server_sni_maps, value: its list of files */
    MATERIAL_TROUBLE = 4, /* name: a table, value: why it cannot be listed */
};

struct material_item {
    enum material_kind kind;
    uint32_t mode; /* of a file: its permission bits */
    struct str name, value;
};

/* What is asked again whether it has changed. */
struct material_watch {
    char *path;
    struct table_stamp stamp;
};

struct material_gathering {
    const struct config *config;
    struct buf *out;  /* the material */
    struct map *seen; /* paths */
    struct material_watch *watches;
    size_t watch_count, watch_room;
    struct table **tables; /* of tls_server_sni_maps, open, to see that they change */
    size_t table_count;
};

/* Reads all that the configuration names, appended to out. Never fails: what cannot be read
 * is told in the material. Blocking. */
void material_gather(struct material_gathering *gathering, const struct config *config, struct buf *out);
/* Whether a file or table is another one than it was. Blocking. */
bool material_changed(const struct material_gathering *gathering);
/* Forgets what to watch, and wipes nothing: out is the caller's. */
void material_free(struct material_gathering *gathering);

/* The next item; borrowed from the material. False at the end or at what is no item. */
MUST_USE bool material_next(struct str *rest, struct material_item *item);

/* The files that a parameter names, one after the other: words parted by commas or white space. */
MUST_USE bool material_next_file(struct str *rest, struct str *path);
/* The parameters that name files of one side (enum keys_side): chain files; certificate and key pairs. */
struct material_parameters {
    struct str chain_files;
    struct str chain_files_name;
    struct {
        struct str certificate, key, name; /* name: of the certificate's parameter */
    } pairs[3];
};
#define MATERIAL_SIDES 3
struct material_parameters material_parameters_of(const struct config *config, unsigned side);

#endif
