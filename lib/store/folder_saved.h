/* folder_saved: messages that are put into a folder, by saving (folder_save.c) or by copying (folder_copy.c): syncing
 * the place where they lie, and giving them UIDs. */
#ifndef TERN_FOLDER_SAVED_H
#define TERN_FOLDER_SAVED_H

#include "folder_dates.h"
#include "folder_file.h"

struct saved {
    char *name; /* saving: in tmp/; then the base of its name */
    int file;   /* saving: whole, but not synced; -1 */
    struct folder_record record;
    struct str *keywords;
    size_t keyword_count;
    char path[FOLDER_NAME_MAX + 32]; /* where it came to lie, beneath the folder; empty: not yet */
};

/* new/ or cur/ is on disk when it returns. */
MUST_USE bool folder_sync_place(struct folder *target, enum folder_place place, struct failure *failure);
/* Lock held: UIDs in the order of the messages, synced. own: what was begun before the files came to lie there. */
MUST_USE enum store_result folder_note_saved(struct folder *target, struct saved *messages, size_t count,
                                             const struct folder_own_change *own, struct uid_set *uids,
                                             struct failure *failure);

#endif
