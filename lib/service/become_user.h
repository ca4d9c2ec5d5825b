/* become_user: a child of a forker that is root becomes somebody else for good. */
#ifndef TERN_BECOME_USER_H
#define TERN_BECOME_USER_H

#include "compiler.h"
#include "failure.h"

/* user: whose supplementary groups it gets; empty: none. Never root. Without root it only succeeds for the own uid. */
MUST_USE bool become_user(uint32_t uid, uint32_t gid, const char *user, struct failure *failure);

#endif
