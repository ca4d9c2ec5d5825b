/* folder_message: a message's file, what a look at it says, and its size as IMAP counts it; what was learnt so is
 * remembered in the journal. Most of it is in folder.h. */
#ifndef TERN_FOLDER_MESSAGE_H
#define TERN_FOLDER_MESSAGE_H

#include "folder.h"

/* Writes the sizes that folder_virtual_size has counted, and dates that were asked for. */
void folder_remember(struct folder *folder);
/* Looks at all files whose size is not known, for sums. */
void folder_size_all(struct folder *folder);

#endif
