/* See slot_table.h. */
#include "slot_table.h"

#include "folder_name.h"
#include "hash.h"

void slot_table_make(struct slot_table *table, uint32_t room) {
    size_t places = 64;
    while (places < (size_t)room * 2)
        places *= 2;
    table->slots = memory_allocate(places, sizeof *table->slots);
    table->mask = places - 1;
}

void slot_table_free(struct slot_table *table) {
    MEMORY_FREE(table->slots);
}

void slot_table_add(struct slot_table *table, struct str base, uint32_t slot) {
    size_t at = crc32c(0, base.data, base.length) & table->mask;
    while (table->slots[at])
        at = (at + 1) & table->mask;
    table->slots[at] = slot + 1;
}

uint32_t slot_table_find(const struct slot_table *table, const struct folder_state *state, struct str base) {
    struct folder_record record;
    if (folder_state_slots(state) == 0) return UINT32_MAX;
    for (size_t at = crc32c(0, base.data, base.length) & table->mask; table->slots[at]; at = (at + 1) & table->mask) {
        folder_state_get(state, table->slots[at] - 1, &record);
        if (str_equal(folder_name_base(record.name), base)) return table->slots[at] - 1;
    }
    return UINT32_MAX;
}
