/* folder_expunge: expunging by UIDs, and removing the files. folder_expunge and folder_remove are in folder.h. */
#ifndef TERN_FOLDER_EXPUNGE_H
#define TERN_FOLDER_EXPUNGE_H

#include "folder.h"

/* Expunges these, whatever their flags. remove_files: and unlinks the files; else they have gone elsewhere. Lock held.
 */
MUST_USE enum store_result folder_expunge_uids(struct folder *folder, const struct uid_set *uids, bool remove_files,
                                               struct failure *failure);
/* Removes files of expunged messages that are still there. Lock held. */
MUST_USE enum store_result folder_remove_expunged(struct folder *folder, struct failure *failure);

#endif
