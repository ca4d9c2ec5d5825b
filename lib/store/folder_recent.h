/* folder_recent: \Recent: messages belong to the session that is told of them first. */
#ifndef TERN_FOLDER_RECENT_H
#define TERN_FOLDER_RECENT_H

#include "folder.h"

/* Messages that no session was told yet are recent in this one, and in no other. Takes the lock if there are any. */
MUST_USE enum store_result folder_claim_recent(struct folder *folder, struct failure *failure);

#endif
