/* slot_table: slots by the names of their messages' files. */
#ifndef TERN_SLOT_TABLE_H
#define TERN_SLOT_TABLE_H

#include "folder_state.h"

struct slot_table {
    uint32_t *slots; /* slot + 1; 0: free */
    size_t mask;
};

/* room: so many slots may be added. */
void slot_table_make(struct slot_table *table, uint32_t room);
void slot_table_free(struct slot_table *table);
void slot_table_add(struct slot_table *table, struct str base, uint32_t slot);
/* The slot whose file's name has this base; UINT32_MAX: none that was added. */
uint32_t slot_table_find(const struct slot_table *table, const struct folder_state *state, struct str base);

#endif
