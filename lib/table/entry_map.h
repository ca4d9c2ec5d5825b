/* Entries in memory, for texthash and inline tables. */
#ifndef TERN_ENTRY_MAP_H
#define TERN_ENTRY_MAP_H

#include "buf.h"
#include "hash.h"
#include "table.h"
#include "table_file.h"

struct entry_map {
    struct map *map;          /* key to NUL-terminated value */
    char *path;               /* texthash: the source; NULL if none */
    struct table_stamp stamp; /* of the source */
};

/* Empty; entry_map_close frees it, keys, values and path. */
struct entry_map *entry_map_create(void);
/* Adds a copy; false if the key is there (the first entry stays). */
bool entry_map_add(struct entry_map *entries, struct str key, struct str value, bool fold);
/* Table methods over a struct entry_map. */
enum table_result entry_map_lookup(void *state, struct str key, struct buf *value, struct failure *failure);
bool entry_map_each(void *state, bool (*each)(void *context, struct str key, struct str value), void *context,
                    struct failure *failure);
bool entry_map_changed(const void *state);
void entry_map_close(void *state);

#endif
