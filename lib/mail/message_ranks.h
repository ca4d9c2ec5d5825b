/* message_ranks: where messages stand when they are sorted by a text, in blocks as those of message_rows.
 *
 * A rank says nothing but whether it is below, the same as or above another of the same
 * generation: all blocks that were written together bear one. Kept in a cache, as
 * message_rows' blocks are, and thrown away with their version; pure. */
#ifndef TERN_MESSAGE_RANKS_H
#define TERN_MESSAGE_RANKS_H

#include "message_rows.h"

struct message_ranks {
    uint64_t generation;
    uint64_t present[MESSAGE_ROWS_MAX / 64];
    uint32_t ranks[MESSAGE_ROWS_MAX]; /* by the UID's last octet, where present */
};

/* Appends a block. */
void message_ranks_write(struct buf *out, const struct message_ranks *ranks, uint32_t uid_validity, uint32_t block,
                         enum message_row_column column);
/* False: it is none of these, or damaged. */
MUST_USE bool message_ranks_open(struct message_ranks *ranks, struct str bytes, uint32_t uid_validity, uint32_t block,
                                 enum message_row_column column);
void message_ranks_set(struct message_ranks *ranks, uint32_t uid, uint32_t rank);
/* Whether a UID has a rank. */
bool message_ranks_has(const struct message_ranks *ranks, uint32_t uid, uint32_t *rank);

#endif
