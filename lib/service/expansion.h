/* expansion: what an address turns into, as it travels between daemons. */
#ifndef TERN_EXPANSION_H
#define TERN_EXPANSION_H

#include "alias_members.h"
#include "delivery.h"

/* The kind of a member of an alias or of a .forward file, in a message's words. */
enum expansion_kind expansion_kind_of(enum alias_member_kind kind);

#endif
