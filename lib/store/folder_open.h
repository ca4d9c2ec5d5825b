/* folder_open: opening a folder to put messages into it. Opening it for a client, and closing, are in folder.h. */
#ifndef TERN_FOLDER_OPEN_H
#define TERN_FOLDER_OPEN_H

#include "folder.h"

/* A folder that messages are put into. It has no view, and its directories are read only if they never were: who looks
 * at it next meets what other programs have put there. */
struct folder *folder_open_target(struct store *store, struct str name, enum store_result *result,
                                  struct failure *failure);

#endif
