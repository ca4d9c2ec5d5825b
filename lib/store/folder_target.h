/* folder_target: the folder that messages are put into. Who saves one message saves more of them, most often: the store
 * keeps the last target open for the next time. */
#ifndef TERN_FOLDER_TARGET_H
#define TERN_FOLDER_TARGET_H

#include "folder.h"

/* The kept one if it is this mailbox, and nobody has put another one or another file into its place; else it is opened.
 * NULL: *result. */
struct folder *folder_take_target(struct store *store, struct str name, enum store_result *result,
                                  struct failure *failure);
/* For the next time: after a success, when the state is known to be good. */
void folder_keep_target(struct store *store, struct folder **target);
/* Closes the kept target. One whose journal has become long is written anew. */
void folder_drop_target(struct store *store);

#endif
