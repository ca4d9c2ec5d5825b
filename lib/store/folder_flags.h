/* folder_flags: keywords and their bits. Changing flags is folder_store (folder.h). */
#ifndef TERN_FOLDER_FLAGS_H
#define TERN_FOLDER_FLAGS_H

#include "folder.h"

/* Bits of keywords; make: new ones get one, by entries that are to be appended; those that are in `entries` already
 * count. Lock held. */
MUST_USE enum store_result folder_keyword_bits(struct folder *folder, const struct str *keywords, size_t count,
                                               bool make, struct buf *entries, uint64_t *bits, struct failure *failure);

#endif
