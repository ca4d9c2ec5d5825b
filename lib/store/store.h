/* store: one user's mailboxes: a Maildir++ tree.
 *
 *   ROOT/                    the INBOX: cur/ new/ tmp/, and of tern's files
 *     tern-mailbox           the folder's truth: UIDs, keywords, modseqs, what has changed since (folder_file.h)
 *     tern-lock              who changes something holds it (flock)
 *     tern-pop3              a POP3 session holds it; the date of the last login, if there is pop3_login_delay
 *   ROOT/.Name.Sub/          the same for the folder Name/Sub, and an empty file maildirfolder
 *   ROOT/subscriptions       names, one a line, as Dovecot 2.x writes it
 *   ROOT/tern-special-use    "\Sent Name" a line
 *   ROOT/tern-uidvalidity    the highest that was given
 *   CACHE/                   LMDB, of no importance: may be deleted at any time
 *
 * Names of mailboxes here are UTF-8 (NFC is not enforced), '/' parts levels, INBOX is INBOX in any
 * case; on disk '.' parts levels and what a directory's name cannot hold is written %XX. tern-folder(5) describes all.
 *
 * Everything blocks on disk: a store is used by processes of its user, not in front of strangers. */
#ifndef TERN_STORE_H
#define TERN_STORE_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "memory.h"
#include "str.h"

#define STORE_NAME_MAX 400 /* octets of a mailbox name in UTF-8 */

struct store;

struct store_options {
    struct str root;  /* the INBOX's Maildir, absolute */
    struct str cache; /* directory of the LMDB cache, absolute; empty: no cache is kept */
    struct str host;  /* for file names */
    struct str boot;  /* the boot's identity: a cache of another boot is thrown away; empty: none is kept */
    uint64_t cache_limit;      /* octets the cache may take; 0: 1 GiB */
    uint64_t quota_storage;    /* octets; 0: none */
    uint64_t quota_messages;   /* 0: none */
    unsigned folders_limit;    /* most folders; 0: 10000 */
    struct str auto_folders;   /* "Drafts:\Drafts Sent:\Sent ...": made and subscribed when the tree is first made */
    unsigned read_threads; /* that may help to read many files; 0: none */
    bool create;      /* make the INBOX if it is not there */
};

/* Errors that clients are told apart by. */
enum store_result {
    STORE_OK,
    STORE_MISSING,   /* no such mailbox */
    STORE_EXISTS,
    STORE_REFUSED,   /* the name is not allowed, INBOX cannot be deleted, ... (failure says) */
    STORE_OVER_QUOTA,
    STORE_LIMIT,     /* too many folders, keywords, ... */
    STORE_FULL,      /* ENOSPC, EDQUOT of the disk */
    STORE_BROKEN,    /* any other local fault; nothing was promised */
    STORE_GONE,      /* messages that were to be copied are expunged */
};

/* options' texts are copied. NULL: failure says why. */
MUST_USE struct store *store_open(const struct store_options *options, struct failure *failure);
void store_close(struct store **store);
/* The root's descriptor. */
int store_directory(const struct store *store);

/* ---- the tree */

enum store_attribute {
    STORE_NO_SELECT = 1,     /* only a level above others: no directory of its own */
    STORE_HAS_CHILDREN = 2,
    STORE_SUBSCRIBED = 4,
    STORE_MARKED = 8,        /* new/ is not empty */
    STORE_NON_EXISTENT = 16, /* subscribed, but gone */
    STORE_SPECIAL_SHIFT = 8, /* bits of enum store_special from here on */
};
enum store_special {
    SPECIAL_ALL = 1, SPECIAL_ARCHIVE = 2, SPECIAL_DRAFTS = 4, SPECIAL_FLAGGED = 8,
    SPECIAL_JUNK = 16, SPECIAL_SENT = 32, SPECIAL_TRASH = 64, SPECIAL_IMPORTANT = 128,
};

struct store_entry {
    struct str name; /* UTF-8, levels by '/' */
    unsigned attributes;
};
/* All mailboxes and the levels above them, sorted (INBOX first); subscribed names that are gone too. Lives in the
 * arena. */
MUST_USE bool store_list(struct store *store, struct arena *arena, struct store_entry **entries, size_t *count,
                         struct failure *failure);
/* Levels above need not exist and are not made. special: set of enum store_special. *mailbox_id gets OBJECTID's
 * MAILBOXID (32 characters and a NUL) if it is not NULL. */
MUST_USE enum store_result store_create(struct store *store, struct str name, unsigned special, char mailbox_id[40],
                                        struct failure *failure);
MUST_USE enum store_result store_delete(struct store *store, struct str name, struct failure *failure);
/* With all below it; INBOX: its messages move to the new name (RFC 9051 6.3.6). */
MUST_USE enum store_result store_rename(struct store *store, struct str from, struct str to, struct failure *failure);
MUST_USE enum store_result store_subscribe(struct store *store, struct str name, bool subscribe,
                                           struct failure *failure);
/* True if the name may be one, and whether there is such a folder with messages. */
bool store_name_is_valid(struct str name);
/* Opens a folder's directory; -1 with *result and failure. */
int store_folder_directory(struct store *store, struct str name, enum store_result *result, struct failure *failure);

/* ---- quota (RFC 9208): counted over all folders from the folders' own totals */

struct store_usage {
    uint64_t octets, messages, octets_limit, messages_limit; /* limits 0: none */
};
MUST_USE bool store_usage(struct store *store, struct store_usage *usage, struct failure *failure);
/* The usage where there are limits; elsewhere nothing, without looking. */
MUST_USE enum store_result store_quota_look(struct store *store, struct store_usage *usage, struct failure *failure);
/* Whether so much more fits; STORE_OVER_QUOTA if not. */
MUST_USE enum store_result store_usage_allows(const struct store_usage *usage, uint64_t octets, uint64_t messages,
                                              struct failure *failure);
/* Both. */
MUST_USE enum store_result store_quota_allows(struct store *store, uint64_t octets, uint64_t messages,
                                              struct failure *failure);
/* With so much more there is next to no room left: what others save at the same time may be too much. */
bool store_usage_is_near(const struct store_usage *usage, uint64_t octets, uint64_t messages);
/* Before saving: as store_usage_allows, and where a limit is near, the look is taken again while nobody else saves near
 * it, until the lock is given back. seen: what was looked at before; NULL: nothing. *lock: -1: none is needed. */
MUST_USE enum store_result store_quota_claim(struct store *store, const struct store_usage *seen, uint64_t octets,
                                             uint64_t messages, int *lock, struct failure *failure);
/* The lock alone, for who counts himself; -1 with failure. */
MUST_USE int store_quota_lock(struct store *store, struct failure *failure);
/* *lock becomes -1. */
void store_quota_unlock(int *lock);

#endif
