/* Who owns the file that a table is made of: in alias tables that decides under
 * whose rights commands and files are used. */
#ifndef TERN_LOOKUP_SOURCE_OWNER_H
#define TERN_LOOKUP_SOURCE_OWNER_H

#include "compiler.h"
#include "str.h"

/* For "type:name". A table written in main.cf itself, or made of others that all
 * belong to root, is root's; of several the first that is not root's counts. False
 * when it cannot be known. Blocking. */
bool source_owner(struct str type_name, uint32_t *uid, uint32_t *gid);

#endif
