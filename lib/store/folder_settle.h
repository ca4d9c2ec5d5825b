/* folder_settle: what can be put off. Settling itself is in folder.h. */
#ifndef TERN_FOLDER_SETTLE_H
#define TERN_FOLDER_SETTLE_H

#include "folder.h"

/* Whether reading the journal costs more than it should. */
bool folder_is_journal_long(const struct folder *folder);

#endif
