/* folder_state_apply: what an entry of the journal does to a folder's state. */
#ifndef TERN_FOLDER_STATE_APPLY_H
#define TERN_FOLDER_STATE_APPLY_H

#include "folder_state.h"

/* Who wants to know what applying an entry did. Slots. May be NULL, and so each function. */
struct state_watcher {
    void (*added)(void *context, uint32_t slot);
    void (*changed)(void *context, uint32_t slot);
    void (*expunged)(void *context, uint32_t slot);
    void (*keyword)(void *context);
    void *context;
};

/* Applies one entry, and tells the watcher. */
void folder_state_apply(struct folder_state *state, const struct journal_entry *entry,
                        const struct state_watcher *watcher);
/* What a look at a message's file has said; unknown: nothing of that. */
void folder_state_learn(struct folder_state *state, uint32_t slot, int64_t date, uint64_t size);

#endif
