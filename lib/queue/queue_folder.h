/* queue_folder: the folders of the queue, which whoever works on it holds open. */
#ifndef TERN_QUEUE_FOLDER_H
#define TERN_QUEUE_FOLDER_H

#include "failure.h"

/* Opens a folder beneath the queue's directory, for names to be looked up in and synced. */
MUST_USE bool queue_folder_open(int queue, const char *name, int *folder, struct failure *failure);

#endif
