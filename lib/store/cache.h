/* cache: what was parsed once, by folder and UID, for one user's mailboxes. Never the only copy: whatever goes wrong
 * with it is no error, only slower. */
#ifndef TERN_CACHE_H
#define TERN_CACHE_H

#include "compiler.h"
#include "str.h"

struct store;
struct cache;

enum cache_kind {
    CACHE_STRUCTURE = 1, /* imap_structure.h's serialised form */
    CACHE_HEADER = 2,    /* the header fields of ENVELOPE, SEARCH, SORT and THREAD, as they stand in the file */
    CACHE_PREVIEW = 3,
};
/* The bytes, borrowed until cache_end; false if they are not there. Begins a read transaction when none is open. */
bool cache_get(struct store *store, const uint8_t folder_id[16], uint32_t uid, enum cache_kind kind, struct str *value);
void cache_end(struct store *store);
/* Remembers bytes to be written at the next cache_flush. */
void cache_put(struct store *store, const uint8_t folder_id[16], uint32_t uid, enum cache_kind kind, struct str value);
void cache_forget(struct store *store, const uint8_t folder_id[16], uint32_t uid);
/* Values of a folder's own, by kind and number: cache_block_kind and, for message_rows.h, what UIDs have in common. */
enum cache_block_kind {
    CACHE_ROWS = 64,    /* message_rows.h */
    CACHE_RANKS = 65,   /* message_ranks.h; + enum message_row_column */
    CACHE_ANSWERS = 96, /* kept_answer.h */
};
bool cache_get_block(struct store *store, const uint8_t folder_id[16], unsigned kind, uint32_t number,
                     struct str *value);
/* The first block of a kind from *number on, its number and its bytes. */
bool cache_next_block(struct store *store, const uint8_t folder_id[16], unsigned kind, uint32_t *number,
                      struct str *value);
/* As cache_put; an empty value: the block goes. */
void cache_put_block(struct store *store, const uint8_t folder_id[16], unsigned kind, uint32_t number,
                     struct str value);
/* False: there is none, and what is put is lost. */
bool cache_is_there(struct store *store);
/* Changes when what cache_get gave is of no use any more. */
uint64_t cache_reading(const struct store *store);
/* Writes what was remembered, and ends the reading: what cache_get gave is of no use after it. */
void cache_flush(struct store *store);
/* So much has gathered that it is time for cache_flush. */
bool cache_is_heavy(const struct store *store);

/* For store_close. */
void cache_close(struct cache **cache);

#endif
