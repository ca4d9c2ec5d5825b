/* folder_internal: what the files of an opened folder offer each other. */
#ifndef TERN_FOLDER_INTERNAL_H
#define TERN_FOLDER_INTERNAL_H

#include <sys/stat.h>

#include "folder.h"
#include "folder_import.h"
#include "folder_name.h"
#include "folder_snapshot.h"
#include "folder_state.h"
#include "slot_list.h"
#include "store_root.h"
#include "hash.h"

#define FOLDER_LOCK "tern-lock"

struct folder {
    struct store *store;
    char *name;
    bool read_only;
    int directory, lock; /* lock: -1 until first wanted */
    int places[2];       /* new/ and cur/, for syncing; -1 until first wanted */
    struct folder_state state;
    /* The view: slots before view_slots but those of dropped are shown. */
    uint32_t view_slots;
    struct slot_set dropped;
    struct slot_list changed, expunged; /* to be told; slots of the view */
    bool keywords_changed;
    bool applying_own;   /* what is read from the journal now was written by us */
    bool renewed;        /* UIDVALIDITY is another one */
    uint32_t recent_from, recent_to; /* UIDs that this session was told first */
    struct buf counted;              /* rows of journal_append_size, to be remembered */
    struct buf looks;                /* ... and of journal_append_look, which the state has already */
    uint64_t learnt;                 /* octets of such rows that this session has written */
    bool read_all;         /* at the next scan cur/ is read in any case */
    bool names_behind;     /* flags are not in all file names yet */
    bool journal_unsynced; /* something was appended since the last sync */
};

/* folder.c: a folder that messages are put into. It has no view, and its directories are read only if they never were:
 * who looks at it next meets what other programs have put there. */
struct folder *folder_open_target(struct store *store, struct str name, enum store_result *result,
                                  struct failure *failure);

/* folder.c */
/* The slot of a sequence number of the view; sequence of a slot that is shown. */
uint32_t folder_slot(const struct folder *folder, uint32_t sequence);
uint32_t folder_slot_sequence(const struct folder *folder, uint32_t slot);
struct state_watcher folder_watcher(struct folder *folder);
/* Makes the state anew from the file that has taken the old one's place; the view stays. Lock held or not. */
MUST_USE bool folder_reload(struct folder *folder, struct failure *failure);


/* folder_message.c */
/* After a file was not where its record says: looks where it is now. The view stays as it is: what has changed is told
 * by the next folder_sync. */
MUST_USE enum store_result folder_find_again(struct folder *folder, struct failure *failure);
/* Counts the CR LF sizes that are not known. */
MUST_USE enum store_result folder_count_all(struct folder *folder, struct failure *failure);
/* Writes the sizes that folder_virtual_size has counted, and dates that were asked for. */
void folder_remember(struct folder *folder);
/* Looks at the file for what is unknown of the message. Looks for a file that is called otherwise by now as
 * folder_message_file does; of one that is gone the date is that in its name, and the size 0. */
void folder_look(struct folder *folder, uint32_t sequence, struct folder_message *message);
/* Looks at all files whose size is not known, for sums. */
void folder_size_all(struct folder *folder);

/* folder_lock.c */
/* Takes the lock and reads what others have written before. A lock that is held for half a minute is a failure. */
MUST_USE bool folder_lock(struct folder *folder, struct failure *failure);
/* What folder_lock reads, where the lock is held through another opening of the same folder. */
MUST_USE bool folder_read_locked(struct folder *folder, struct failure *failure);
/* The lock without reading: there may be no file yet. */
MUST_USE bool folder_lock_alone(struct folder *folder, struct failure *failure);
void folder_unlock(struct folder *folder);
enum append_how {
    APPEND_SYNCED = 1, /* on disk when it returns */
    APPEND_OWN = 2,    /* the client's own wish: not told by the next folder_sync */
};
/* Appends packed entries and applies them. Lock held. how: set of enum append_how. */
MUST_USE enum store_result folder_append(struct folder *folder, const struct buf *entries, unsigned how,
                                         struct failure *failure);
/* The directories' dates as they are now. */
MUST_USE bool folder_dates(const struct folder *folder, struct folder_date *cur, struct folder_date *new_date,
                           struct failure *failure);
/* Whether nothing can have changed since a date was noted. */
bool folder_date_holds(const struct folder_date *noted, const struct folder_date *now);
/* Before changing file names ourselves: whether the noted dates hold. After it: notes the new ones, in entries, if they
 * did. So our own changes cost no reading. */
struct folder_own_change {
    bool cur_held, new_held;
};
void folder_own_change_begin(const struct folder *folder, struct folder_own_change *change);
void folder_own_change_end(const struct folder *folder, const struct folder_own_change *change, struct buf *entries);

/* folder_scan.c */
/* Whether the directories must be read. */
bool folder_is_stale(const struct folder *folder);
/* The same when the folder is opened: cur/ is looked at from time to time even if nothing says that it should. */
void folder_plan_reading(struct folder *folder);
/* Reads them and writes what differs. Lock held. */
MUST_USE enum store_result folder_scan(struct folder *folder, struct failure *failure);

/* folder_change.c */
/* Bits of keywords; make: new ones get one, by entries that are to be appended; those that are in `entries` already
 * count. Lock held. */
MUST_USE enum store_result folder_keyword_bits(struct folder *folder, const struct str *keywords, size_t count, bool make,
                                               struct buf *entries, uint64_t *bits, struct failure *failure);
/* Expunges these, whatever their flags. remove_files: and unlinks the files; else they have gone elsewhere. Lock held. */
MUST_USE enum store_result folder_expunge_uids(struct folder *folder, const struct uid_set *uids, bool remove_files,
                                               struct failure *failure);

/* Removes files of expunged messages that are still there. Lock held. */
MUST_USE enum store_result folder_remove_expunged(struct folder *folder, struct failure *failure);

/* folder_settle.c */
/* Whether reading the journal costs more than it should. */
bool folder_is_journal_long(const struct folder *folder);

#endif
