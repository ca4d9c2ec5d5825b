/* cache: its functions are in store.h. */
#ifndef TERN_CACHE_H
#define TERN_CACHE_H

#include "store.h"

struct cache;
void cache_close(struct cache **cache);

#endif
