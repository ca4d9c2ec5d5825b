/* store_root: the ground of a user's mailboxes: the root's directory, the small files in it and their lock, the
 * directories of folders, and the names of message files. Folders and the tree stand on it. */
#ifndef TERN_STORE_ROOT_H
#define TERN_STORE_ROOT_H

#include "store.h"

struct cache;
struct folder;

struct store {
    int root;
    struct arena *texts;
    struct store_options options; /* texts in the arena */
    struct cache *cache;          /* cache.c's: NULL until first wanted, or if there is none */
    bool cache_failed;
    uint64_t unique;       /* counts files made, for their names */
    struct folder *target; /* folder_target.c's: where messages were saved last, kept open for the next ones; or NULL */
};

/* STORE_FULL or STORE_BROKEN, by the error's number. */
enum store_result store_trouble(const struct failure *failure);
/* cur/, new/, tmp/ and what else a folder's directory has, in a directory that exists. is_root: the INBOX. */
MUST_USE bool store_make_folder(int directory, bool is_root, struct failure *failure);
/* Whether the mailbox of that name still is the one whose directory this is. */
bool store_folder_is(const struct store *store, struct str name, int directory);
/* A name for a message's file that no other has. */
void store_unique_name(struct store *store, struct buf *name);

/* The whole of a small file beneath the root; an absent one is empty. */
MUST_USE bool store_read_file(const struct store *store, const char *name, struct buf *text, struct failure *failure);
/* Replaces it: written beside, synced, renamed. */
MUST_USE bool store_write_file(const struct store *store, const char *name, struct str text, struct failure *failure);
/* The lock for such changes: a descriptor to be closed, or -1. */
MUST_USE int store_lock(const struct store *store, struct failure *failure);
/* A UIDVALIDITY that no folder of this store has had. */
MUST_USE bool store_next_validity(struct store *store, uint32_t *validity, struct failure *failure);
/* A folder has this UIDVALIDITY, from another program: later ones are higher. */
MUST_USE bool store_note_validity(struct store *store, uint32_t validity, struct failure *failure);

#endif
