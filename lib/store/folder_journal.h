/* folder_journal: the folder's lock, and reading and appending the journal under it. */
#ifndef TERN_FOLDER_JOURNAL_H
#define TERN_FOLDER_JOURNAL_H

#include "folder_view.h"

/* Takes the lock and reads what others have written before. A lock that is held for half a minute is a failure. */
MUST_USE bool folder_lock(struct folder *folder, struct failure *failure);
/* What folder_lock reads, where the lock is held through another opening of the same folder. */
MUST_USE bool folder_read_locked(struct folder *folder, struct failure *failure);
/* The lock without reading: there may be no file yet. */
MUST_USE bool folder_lock_alone(struct folder *folder, struct failure *failure);
/* flock, for at most half a minute. */
MUST_USE bool folder_wait_for_lock(int lock, struct failure *failure);
/* Waits until what was read without the lock is whole and on disk: whoever writes UIDs syncs them before unlocking. */
MUST_USE bool folder_await_writer(struct folder *folder, struct failure *failure);
void folder_unlock(struct folder *folder);
/* Makes the state anew from the file that has taken the old one's place; the view stays. Lock held or not. */
MUST_USE bool folder_reload(struct folder *folder, struct failure *failure);
enum append_how {
    APPEND_SYNCED = 1, /* on disk when it returns */
    APPEND_OWN = 2,    /* the client's own wish: not told by the next folder_sync */
};
/* Appends packed entries and applies them. Lock held. how: set of enum append_how. */
MUST_USE enum store_result folder_append(struct folder *folder, const struct buf *entries, unsigned how,
                                         struct failure *failure);

#endif
