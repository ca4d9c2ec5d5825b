/* slot_list: slots (folder_state.h) in the order in which they were met. A zeroed struct is the empty list. */
#ifndef TERN_SLOT_LIST_H
#define TERN_SLOT_LIST_H

#include "memory.h"

struct slot_list {
    uint32_t *slots;
    size_t count, room;
};

/* Appends one, unless it is the last one. */
void slot_list_add(struct slot_list *list, uint32_t slot);
/* Sorts them; each is there once then. */
void slot_list_sort(struct slot_list *list);
void slot_list_free(struct slot_list *list);

#endif
