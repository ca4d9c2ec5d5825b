/* store_internal: what the store's files offer each other. */
#ifndef TERN_STORE_INTERNAL_H
#define TERN_STORE_INTERNAL_H

#include "folder_internal.h"
#include "store_import.h"
#include "store_marks.h"
#include "store_name.h"
#include "store_root.h"

/* Closes the kept target. One whose journal has become long is written anew. */
void store_drop_target(struct store *store);

void cache_close(struct cache **cache);

#endif
