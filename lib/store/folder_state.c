/* See folder_state.h. */
#include "folder_state.h"

#include <sys/mman.h>
#include <unistd.h>

void folder_state_free(struct folder_state *state) {
    for (uint32_t i = 0; state->pages && i <= state->base / FOLDER_PAGE_SLOTS; i++)
        MEMORY_FREE(state->pages[i]);
    MEMORY_FREE(state->pages);
    MEMORY_FREE(state->tail);
    MEMORY_FREE(state->expunged);
    slot_set_free(&state->gone);
    uid_set_free(&state->unremoved);
    if (state->texts) arena_destroy(&state->texts);
    if (state->map) munmap((void *)(uintptr_t)state->map, state->map_size);
    if (state->file >= 0) close(state->file);
    *state = (struct folder_state){.file = -1};
}

/* ---- slots */

uint32_t folder_state_slots(const struct folder_state *state) {
    return state->base + state->tail_count;
}

static void read_base(const struct folder_state *state, uint32_t slot, struct folder_record *record) {
    folder_record_decode(state->records + (size_t)slot * FOLDER_RECORD_SIZE, state->names, record);
}

void folder_state_get(const struct folder_state *state, uint32_t slot, struct folder_record *record) {
    if (slot >= state->base)
        *record = state->tail[slot - state->base];
    else if (state->pages[slot / FOLDER_PAGE_SLOTS])
        *record = state->pages[slot / FOLDER_PAGE_SLOTS][slot % FOLDER_PAGE_SLOTS];
    else
        read_base(state, slot, record);
}

uint32_t folder_state_uid(const struct folder_state *state, uint32_t slot) {
    if (slot >= state->base) return state->tail[slot - state->base].uid;
    return folder_record_uid(state->records + (size_t)slot * FOLDER_RECORD_SIZE);
}

struct folder_record *folder_state_edit(struct folder_state *state, uint32_t slot) {
    if (slot >= state->base) return &state->tail[slot - state->base];
    struct folder_record **page = &state->pages[slot / FOLDER_PAGE_SLOTS];
    if (!*page) {
        uint32_t first = slot / FOLDER_PAGE_SLOTS * FOLDER_PAGE_SLOTS;
        *page = memory_allocate(FOLDER_PAGE_SLOTS, sizeof **page);
        for (uint32_t i = 0; i < FOLDER_PAGE_SLOTS && first + i < state->base; i++)
            read_base(state, first + i, &(*page)[i]);
    }
    return &(*page)[slot % FOLDER_PAGE_SLOTS];
}

uint32_t folder_state_slot_from(const struct folder_state *state, uint32_t uid) {
    uint32_t low = 0, high = folder_state_slots(state);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (folder_state_uid(state, middle) < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t folder_state_find(const struct folder_state *state, uint32_t uid) {
    uint32_t slot = folder_state_slot_from(state, uid);
    return slot < folder_state_slots(state) && folder_state_uid(state, slot) == uid ? slot : UINT32_MAX;
}

uint32_t folder_state_next_changed(const struct folder_state *state, uint32_t slot) {
    while (slot < state->base && !state->pages[slot / FOLDER_PAGE_SLOTS]) {
        uint32_t next = (slot / FOLDER_PAGE_SLOTS + 1) * FOLDER_PAGE_SLOTS;
        slot = next < state->base ? next : state->base; /* the tail has changed, all of it */
    }
    return slot;
}

unsigned folder_state_keyword_count(const struct folder_state *state) {
    unsigned count = 0;
    for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX; bit++)
        if (state->keywords[bit].length > 0) count = bit + 1;
    return count;
}

/* ---- what is gone */

void folder_state_expunged_row(const struct folder_state *state, uint64_t row, struct uid_range *range,
                               uint64_t *modseq) {
    const uint8_t *at = state->map + folder_expunged_offset(&state->header) + row * FOLDER_EXPUNGED_SIZE;
    memcpy(&range->first, at, 4);
    memcpy(&range->last, at + 4, 4);
    memcpy(modseq, at + 8, 8);
    range->first = le32toh(range->first);
    range->last = le32toh(range->last);
    *modseq = le64toh(*modseq);
}

bool folder_state_expunged_since(const struct folder_state *state, uint64_t modseq, struct uid_set *uids) {
    uint64_t row_modseq;
    struct uid_range range;
    if (modseq < state->header.expunged_floor) return false;
    for (uint64_t row = state->header.expunged_count; row-- > 0;) {
        folder_state_expunged_row(state, row, &range, &row_modseq);
        if (row_modseq <= modseq) break;
        uid_set_add(uids, range.first, range.last);
    }
    for (size_t i = state->expunged_count; i-- > 0 && state->expunged[i].modseq > modseq;)
        uid_set_add(uids, state->expunged[i].first, state->expunged[i].last);
    return true;
}

void folder_state_add_ghosts(struct folder_state *state, const struct uid_set *ghosts) {
    uint32_t old = folder_state_slots(state);
    uint64_t extra = uid_set_size(ghosts);
    struct folder_record *all = memory_allocate((size_t)(old + extra), sizeof *all);
    struct slot_set gone = {0};
    uint32_t count = 0, slot = 0;
    for (size_t i = 0; i <= ghosts->count; i++) {
        uint32_t until = i < ghosts->count ? ghosts->ranges[i].first : UINT32_MAX;
        for (; slot < old && folder_state_uid(state, slot) < until; slot++) {
            folder_state_get(state, slot, &all[count]);
            if (slot_set_has(&state->gone, slot)) slot_set_add(&gone, count);
            count++;
        }
        for (uint64_t uid = until; i < ghosts->count && uid <= ghosts->ranges[i].last; uid++) {
            all[count] = (struct folder_record){
                .uid = (uint32_t)uid, .system = FLAG_SEEN, .place = PLACE_CUR, .name = STR_EMPTY};
            slot_set_add(&gone, count++);
        }
    }
    for (uint32_t page = 0; page <= state->base / FOLDER_PAGE_SLOTS; page++)
        MEMORY_FREE(state->pages[page]);
    MEMORY_FREE(state->tail);
    slot_set_free(&state->gone);
    state->tail = all;
    state->tail_count = count;
    state->tail_room = (uint32_t)(old + extra);
    state->base = 0;
    state->gone = gone;
    state->first_unseen_hint = 0;
}
