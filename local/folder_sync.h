/* Directory syncs shared by the threads of a worker. */
#ifndef TERN_LOCAL_FOLDER_SYNC_H
#define TERN_LOCAL_FOLDER_SYNC_H

#include "compiler.h"
#include <sys/stat.h>

/* Returns when a sync of the directory that began after this call has ended. identity: what tells it from
 * others (it may be that of its parent, if only one directory there is synced by this). False with an errno
 * value if it failed. */
MUST_USE bool directory_sync(int directory, const struct stat *identity, int *error_number);

#endif
