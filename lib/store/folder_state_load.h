/* folder_state_load: a folder's state from its file: the snapshot mapped, the journal read. */
#ifndef TERN_FOLDER_STATE_LOAD_H
#define TERN_FOLDER_STATE_LOAD_H

#include "folder_state_apply.h"

/* The file in a folder's directory, or -1 with errno. */
int folder_state_open(int directory);
/* Maps a file and reads its journal. Takes the descriptor over, also on failure. */
MUST_USE bool folder_state_load(int file, struct folder_state *state, struct failure *failure);
/* Reads what has been appended since. False: the file is damaged or gone from under us. */
MUST_USE bool folder_state_read(struct folder_state *state, const struct state_watcher *watcher,
                                struct failure *failure);

#endif
