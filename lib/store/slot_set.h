/* slot_set: sets of slots (folder_state.h) that also count: how many members come before one, which is the n-th that is
 * none. So sequence numbers are had where some messages do not count. A zeroed struct is the empty set. */
#ifndef TERN_SLOT_SET_H
#define TERN_SLOT_SET_H

#include "compiler.h"
#include "memory.h"

struct slot_set {
    uint64_t *words;
    uint32_t *before; /* members before each block of words; built when asked for */
    size_t words_room;
    uint32_t members;
    bool counted;
};

void slot_set_free(struct slot_set *set);
void slot_set_add(struct slot_set *set, uint32_t slot);
bool slot_set_has(const struct slot_set *set, uint32_t slot);
/* Members among the slots before this one. */
uint32_t slot_set_before(struct slot_set *set, uint32_t slot);
/* The slot that has exactly `rank` non-members before it and is none itself (rank from 0); slots: their number. */
uint32_t slot_set_nth_absent(struct slot_set *set, uint32_t rank, uint32_t slots);

#endif
