/* Entries in memory: a keyed-hash map of copied strings. */
#include "entry_map.h"
#include "memory.h"
#include "table_types.h"

struct entry_map *entry_map_create(void) {
    struct entry_map *entries = MEMORY_NEW(struct entry_map);
    entries->map = map_create();
    return entries;
}

bool entry_map_add(struct entry_map *entries, struct str key, struct str value, bool fold) {
    struct buf folded = {0};
    if (fold) {
        table_fold(key, &folded);
        key = buf_str(&folded);
    }
    bool is_new = map_get(entries->map, key) == NULL;
    if (is_new) (void)map_put(entries->map, key, memory_copy_string(value));
    buf_free(&folded);
    return is_new;
}

enum table_result entry_map_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    const struct entry_map *entries = state;
    const char *found = map_get(entries->map, key);
    return found == NULL ? TABLE_ABSENT : table_give(str_from(found), value, failure);
}

bool entry_map_each(void *state, bool (*each)(void *context, struct str key, struct str value), void *context,
                    struct failure *failure) {
    (void)failure;
    const struct entry_map *entries = state;
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(entries->map, &cursor, &key, &value))
        if (!each(context, key, str_from(value))) break;
    return true;
}

bool entry_map_changed(const void *state) {
    const struct entry_map *entries = state;
    return table_stamp_changed(entries->path, &entries->stamp);
}

void entry_map_close(void *state) {
    struct entry_map *entries = state;
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(entries->map, &cursor, &key, &value)) MEMORY_FREE(value);
    map_destroy(&entries->map);
    MEMORY_FREE(entries->path);
    MEMORY_FREE(entries);
}
