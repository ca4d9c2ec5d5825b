/* folder_snapshot: writing tern-mailbox whole, without a journal: beside the old one, synced, renamed into its place,
 * and the directory synced. */
#ifndef TERN_FOLDER_SNAPSHOT_H
#define TERN_FOLDER_SNAPSHOT_H

#include "folder_import.h"
#include "folder_state.h"

/* What a state says. The folder's lock is held; the state goes on with the old file until it is loaded anew. */
MUST_USE bool folder_snapshot_write(int directory, const struct folder_state *state, struct failure *failure);
/* The first file of a folder, with nothing in it; import may be NULL, and else has the UIDVALIDITY. Lock held; replaces
 * what is there. */
MUST_USE bool folder_snapshot_first(int directory, const struct folder_import *import, uint32_t uid_validity,
                                    struct failure *failure);

#endif
