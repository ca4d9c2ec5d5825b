/* folder_scan: reading a folder's directories, and writing what differs to the journal. folder_read_again is in
 * folder.h. */
#ifndef TERN_FOLDER_SCAN_H
#define TERN_FOLDER_SCAN_H

#include "folder.h"

/* Reads them. Lock held. */
MUST_USE enum store_result folder_scan(struct folder *folder, struct failure *failure);
/* The same, under the lock, if folder_is_stale says so. */
MUST_USE enum store_result folder_read_stale(struct folder *folder, struct failure *failure);

#endif
