/* A map from bytes to a pointer: chained buckets under the keyed hash, and a dense array of the
 * entries for iteration and for growing. Entries do not move, so keys stay where they are. */
#include "hash.h"
#include "memory.h"

#define BUCKETS_FIRST ((size_t)16)

struct entry {
    struct entry *next; /* in its bucket */
    uint64_t hash;
    size_t index; /* in map->entries */
    void *value;
    size_t key_length;
    char key[];
};

struct map {
    struct entry **buckets; /* room of them, a power of two; NULL while there never was an entry */
    struct entry **entries; /* room of them, count in use */
    size_t room;
    size_t count;
};

struct map *map_create(void) {
    return MEMORY_NEW(struct map);
}

void map_destroy(struct map **map) {
    if (!*map) return;
    for (size_t i = 0; i < (*map)->count; i++)
        free((*map)->entries[i]);
    free((*map)->entries);
    free((*map)->buckets);
    MEMORY_FREE(*map);
}

size_t map_count(const struct map *map) {
    return map->count;
}

static struct str entry_key(const struct entry *entry) {
    return str_make(entry->key, entry->key_length);
}

static struct entry **bucket_of(const struct map *map, uint64_t hash) {
    return &map->buckets[(size_t)hash & (map->room - 1)];
}

/* The pointer that leads to the entry of that key, or to the NULL at its chain's end. room is not 0. */
static struct entry **find(const struct map *map, struct str key, uint64_t hash) {
    struct entry **link = bucket_of(map, hash);
    while (*link && ((*link)->hash != hash || !str_equal(entry_key(*link), key)))
        link = &(*link)->next;
    return link;
}

static void grow(struct map *map) {
    size_t room = map->room ? map->room * 2 : BUCKETS_FIRST;
    map->entries = memory_resize(map->entries, room, sizeof(struct entry *));
    free(map->buckets);
    map->buckets = memory_allocate(room, sizeof(struct entry *));
    map->room = room;
    for (size_t i = 0; i < map->count; i++) {
        struct entry **bucket = bucket_of(map, map->entries[i]->hash);
        map->entries[i]->next = *bucket;
        *bucket = map->entries[i];
    }
}

void *map_get(const struct map *map, struct str key) {
    if (map->count == 0) return NULL;
    struct entry *entry = *find(map, key, hash_keyed(key));
    return entry ? entry->value : NULL;
}

static struct entry *entry_create(struct str key, uint64_t hash, void *value) {
    size_t size;
    if (__builtin_add_overflow(sizeof(struct entry), key.length, &size)) memory_exhausted(SIZE_MAX);
    struct entry *entry = memory_allocate(1, size);
    entry->hash = hash;
    entry->value = value;
    entry->key_length = key.length;
    if (key.length) memcpy(entry->key, key.data, key.length);
    return entry;
}

void *map_put(struct map *map, struct str key, void *value) {
    uint64_t hash = hash_keyed(key);
    struct entry *known = map->room ? *find(map, key, hash) : NULL;
    if (known) {
        void *before = known->value;
        known->value = value;
        return before;
    }
    if (map->count == map->room) grow(map);
    struct entry *entry = entry_create(key, hash, value);
    struct entry **bucket = bucket_of(map, hash);
    entry->next = *bucket;
    *bucket = entry;
    entry->index = map->count;
    map->entries[map->count++] = entry;
    return NULL;
}

void *map_remove(struct map *map, struct str key) {
    if (map->count == 0) return NULL;
    struct entry **link = find(map, key, hash_keyed(key));
    struct entry *entry = *link;
    if (!entry) return NULL;
    *link = entry->next;
    struct entry *last = map->entries[--map->count];
    map->entries[entry->index] = last;
    last->index = entry->index;
    void *value = entry->value;
    free(entry);
    return value;
}

/* Goes from the last entry to the first: removing the one just returned puts the last one, which has
 * been seen, in its place. *cursor is the index of the one just returned, plus one. */
bool map_next(const struct map *map, size_t *cursor, struct str *key, void **value) {
    size_t seen_from = *cursor == 0 ? map->count : *cursor - 1;
    if (seen_from == 0) return false;
    const struct entry *entry = map->entries[seen_from - 1];
    *cursor = seen_from;
    *key = entry_key(entry);
    *value = entry->value;
    return true;
}
