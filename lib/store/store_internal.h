/* store_internal: what the store's files offer each other. */
#ifndef TERN_STORE_INTERNAL_H
#define TERN_STORE_INTERNAL_H

#include "folder_internal.h"
#include "store.h"
#include "store_name.h"

struct cache;

struct store {
    int root;
    struct arena *texts;
    struct store_options options; /* texts in the arena */
    struct cache *cache;          /* NULL until first wanted, or if there is none */
    bool cache_failed;
    uint64_t unique; /* counts files made, for their names */
    struct folder *target; /* where messages were saved last, kept open for the next ones; NULL: none */
};

/* Whether the mailbox of that name still is the one whose directory this is. */
bool store_folder_is(const struct store *store, struct str name, int directory);
/* Closes the kept target. One whose journal has become long is written anew. */
void store_drop_target(struct store *store);

/* A UIDVALIDITY that no folder of this store has had. */
MUST_USE bool store_next_validity(struct store *store, uint32_t *validity, struct failure *failure);
/* A folder has this UIDVALIDITY, from another program: later ones are higher. */
MUST_USE bool store_note_validity(struct store *store, uint32_t validity, struct failure *failure);
/* cur/, new/, tmp/ and what else a folder's directory has, in a directory that exists. is_root: the INBOX. */
MUST_USE bool store_make_folder(int directory, bool is_root, struct failure *failure);
/* The whole of a small file beneath the root; an absent one is empty. */
MUST_USE bool store_read_file(const struct store *store, const char *name, struct buf *text, struct failure *failure);
/* Replaces it: written beside, synced, renamed. */
MUST_USE bool store_write_file(const struct store *store, const char *name, struct str text, struct failure *failure);
/* The lock for such changes: a descriptor to be closed, or -1. */
MUST_USE int store_lock(const struct store *store, struct failure *failure);
/* special-use flags: words as in IMAP, "\Sent". 0: unknown. */
unsigned store_special_from(struct str word);
/* Sets the special use of a mailbox; 0 takes it away. Lock held. */
MUST_USE bool store_set_special(struct store *store, struct str name, unsigned special, struct failure *failure);

/* store_import.c */
/* Whether Dovecot had this tree and tern has not been here yet; and taking it over: names of mailboxes and subscriptions. */
bool store_is_foreign(const struct store *store);
MUST_USE bool store_take_over(struct store *store, struct failure *failure);

/* A name for a message's file that no other has. */
void store_unique_name(struct store *store, struct buf *name);
void cache_close(struct cache **cache);

#endif
