/* Hashes: a keyed hash for tables that outsiders can fill, a check sum for files.
 *
 * hash_keyed is SipHash-2-4 under a key drawn at process start, so that nobody
 * can choose colliding keys (lessons.md: Cyrus CVE-2021-33582). crc32c finds
 * torn and altered files; it is no protection against a forger. */
#ifndef TERN_HASH_H
#define TERN_HASH_H

#include "compiler.h"
#include "str.h"

uint64_t hash_keyed(struct str s);
/* Continues a CRC-32C (Castagnoli); start with 0. Uses the CPU's instruction
 * where there is one. */
uint32_t crc32c(uint32_t so_far, const void *data, size_t length);

/* A map from bytes to a pointer: chained, grows, keyed hash. Keys are copied,
 * values belong to the caller. */
struct map;
struct map *map_create(void);
/* Frees the map, not the values; sets *map to NULL. */
void map_destroy(struct map **map);
/* The value, or NULL. */
void *map_get(const struct map *map, struct str key);
/* Sets or replaces; returns the value that was there, or NULL. value is not NULL. */
void *map_put(struct map *map, struct str key, void *value);
/* Takes out; returns the value that was there, or NULL. */
void *map_remove(struct map *map, struct str key);
size_t map_count(const struct map *map);
/* Iteration in no order: start with *cursor 0; false at the end. The entry just
 * returned may be removed, nothing else may change meanwhile. */
bool map_next(const struct map *map, size_t *cursor, struct str *key, void **value);

#endif
