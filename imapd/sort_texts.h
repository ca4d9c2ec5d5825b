/* sort_texts: messages in the order of what a header field says, by ranks from the cache where it has them. */
#ifndef TERN_IMAP_SORT_TEXTS_H
#define TERN_IMAP_SORT_TEXTS_H

#include "rows.h"

/* A key for each of the messages (sequence numbers, rising): keys compare as the texts of that column (ROW_SORT_...,
 * ROW_DISPLAY_...) do. */
void sort_texts_keys(struct rows_reader *reader, enum message_row_column column, const uint32_t *sequences,
                     size_t count, uint64_t *keys);

#endif
