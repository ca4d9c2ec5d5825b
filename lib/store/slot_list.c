/* See slot_list.h. */
#include "slot_list.h"

void slot_list_add(struct slot_list *list, uint32_t slot) {
    if (list->count > 0 && list->slots[list->count - 1] == slot) return;
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->slots = memory_resize(list->slots, list->room, sizeof *list->slots);
    }
    list->slots[list->count++] = slot;
}

void slot_list_free(struct slot_list *list) {
    MEMORY_FREE(list->slots);
    list->count = list->room = 0;
}

static int compare_slots(const void *a, const void *b) {
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    return first < second ? -1 : first > second;
}

void slot_list_sort(struct slot_list *list) {
    size_t kept = 0;
    if (list->count > 1) qsort(list->slots, list->count, sizeof *list->slots, compare_slots);
    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || list->slots[i] != list->slots[kept - 1]) list->slots[kept++] = list->slots[i];
    list->count = kept;
}
