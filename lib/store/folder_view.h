/* folder_view: a folder that is open, and its view: which messages it shows under which sequence numbers, and what is
 * still to be told. The view stands still while the state beneath it learns from the journal, even where the state is
 * loaded anew from another file. */
#ifndef TERN_FOLDER_VIEW_H
#define TERN_FOLDER_VIEW_H

#include "folder.h"
#include "folder_state_apply.h"
#include "slot_list.h"

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
    bool applying_own;               /* what is read from the journal now was written by us */
    bool renewed;                    /* UIDVALIDITY is another one */
    uint32_t recent_from, recent_to; /* UIDs that this session was told first */
    /* What was learnt of files. */
    struct buf counted; /* rows of journal_append_size, to be remembered */
    struct buf looks;   /* ... and of journal_append_look, which the state has already */
    uint64_t learnt;    /* octets of such rows that this session has written */
    /* What was put off. */
    bool read_all;         /* at the next scan cur/ is read in any case */
    bool names_behind;     /* flags are not in all file names yet */
    bool journal_unsynced; /* something was appended since the last sync */
};

/* The slot of a sequence number of the view; sequence of a slot that is shown. */
uint32_t folder_slot(const struct folder *folder, uint32_t sequence);
uint32_t folder_slot_sequence(const struct folder *folder, uint32_t slot);
/* Notes for the view what an entry of the journal does. */
struct state_watcher folder_watcher(struct folder *folder);
/* Everything that is there is shown, and nothing is to be told. */
void folder_view_all(struct folder *folder);
/* Puts a state that was loaded anew into the old one's place; the view stays. Takes it over. */
void folder_view_renew(struct folder *folder, struct folder_state *loaded);
/* Tells what is to be told, and shows what is new. keep_expunged, changes: as in folder_sync. */
void folder_view_tell(struct folder *folder, bool keep_expunged, struct folder_changes *changes);

#endif
