/* See folder_state_apply.h. */
#include "folder_state_apply.h"

/* ---- what changes the totals */

static void count_message(struct folder_state *state, const struct folder_record *record, bool in) {
    struct folder_header *header = &state->header;
    uint32_t one = in ? 1 : UINT32_MAX; /* plus or minus one */
    uint64_t size = record->size == FOLDER_SIZE_UNKNOWN ? 0 : in ? record->size : (uint64_t)0 - record->size;
    if (record->size == FOLDER_SIZE_UNKNOWN) header->unsized += one;
    header->count += one;
    header->size += size;
    if (!(record->system & FLAG_SEEN)) header->unseen += one;
    if (record->system & FLAG_DELETED) {
        header->deleted += one;
        header->deleted_size += size;
    }
    if (record->virtual_size)
        header->virtual_size += in ? record->virtual_size : (uint64_t)0 - record->virtual_size;
    else
        header->uncounted += one;
}

static void note_numbers(struct folder_state *state, uint32_t uid, uint64_t modseq) {
    if (uid >= state->header.uid_next && uid < UINT32_MAX) state->header.uid_next = uid + 1;
    if (modseq > state->header.highest_modseq) state->header.highest_modseq = modseq;
}

/* ---- entries */

static void apply_add(struct folder_state *state, const struct folder_record *record,
                      const struct state_watcher *watcher) {
    uint32_t slots = folder_state_slots(state);
    struct folder_record added = *record;
    /* UIDs rise; an entry that breaks this is another program's doing and is passed over. */
    if (slots > 0 && record->uid <= folder_state_uid(state, slots - 1)) return;
    if (!arena_copy(state->texts, record->name, &added.name)) return;
    if (state->tail_count == state->tail_room) {
        state->tail_room = state->tail_room ? state->tail_room * 2 : 16;
        state->tail = memory_resize(state->tail, state->tail_room, sizeof *state->tail);
    }
    state->tail[state->tail_count++] = added;
    count_message(state, &added, true);
    note_numbers(state, added.uid, added.modseq);
    if (watcher && watcher->added) watcher->added(watcher->context, slots);
}

static void change_flags(struct folder_record *record, const struct journal_entry *entry) {
    switch ((enum flags_change)entry->change) {
    case FLAGS_REPLACE:
        record->system = entry->system;
        record->keywords = entry->keywords;
        break;
    case FLAGS_ADD:
        record->system |= entry->system;
        record->keywords |= entry->keywords;
        break;
    case FLAGS_REMOVE:
        record->system = (uint8_t)(record->system & ~entry->system);
        record->keywords &= ~entry->keywords;
        break;
    }
    record->modseq = entry->modseq;
}

static void apply_flags(struct folder_state *state, uint32_t slot, const struct journal_entry *entry,
                        const struct state_watcher *watcher) {
    struct folder_record *record = folder_state_edit(state, slot);
    bool gone = slot_set_has(&state->gone, slot);
    if (!gone) count_message(state, record, false);
    change_flags(record, entry);
    if (gone) return;
    count_message(state, record, true);
    if (!(record->system & FLAG_SEEN) && slot < state->first_unseen_hint) state->first_unseen_hint = slot;
    if (watcher && watcher->changed) watcher->changed(watcher->context, slot);
}

static void apply_expunge(struct folder_state *state, uint32_t slot, const struct journal_entry *entry,
                          const struct state_watcher *watcher) {
    struct folder_record record;
    (void)entry;
    if (slot_set_has(&state->gone, slot)) return;
    folder_state_get(state, slot, &record);
    count_message(state, &record, false);
    slot_set_add(&state->gone, slot);
    if (watcher && watcher->expunged) watcher->expunged(watcher->context, slot);
}

static void apply_named(struct folder_state *state, uint32_t slot, const struct journal_entry *entry,
                        const struct state_watcher *watcher) {
    struct folder_record *record = folder_state_edit(state, slot);
    struct str info;
    (void)watcher;
    record->place = entry->place;
    record->name_flags = entry->name_flags;
    (void)str_cut(record->name, '\0', &record->name, &info); /* the name is what we write now */
}

typedef void slot_function(struct folder_state *state, uint32_t slot, const struct journal_entry *entry,
                           const struct state_watcher *watcher);

static void for_slots(struct folder_state *state, const struct journal_entry *entry,
                      const struct state_watcher *watcher, slot_function *function) {
    struct uid_range range;
    size_t offset = 0;
    uint32_t slots = folder_state_slots(state);
    while (journal_range(entry->ranges, &offset, &range))
        for (uint32_t slot = folder_state_slot_from(state, range.first);
             slot < slots && folder_state_uid(state, slot) <= range.last; slot++)
            function(state, slot, entry, watcher);
}

static void note_expunged(struct folder_state *state, const struct journal_entry *entry) {
    struct uid_range range;
    size_t offset = 0;
    while (journal_range(entry->ranges, &offset, &range)) {
        if (state->expunged_count == state->expunged_room) {
            state->expunged_room = state->expunged_room ? state->expunged_room * 2 : 16;
            state->expunged = memory_resize(state->expunged, state->expunged_room, sizeof *state->expunged);
        }
        state->expunged[state->expunged_count].first = range.first;
        state->expunged[state->expunged_count].last = range.last;
        state->expunged[state->expunged_count++].modseq = entry->modseq;
        uid_set_add(&state->unremoved, range.first, range.last);
    }
}

static void apply_removed(struct folder_state *state, const struct journal_entry *entry) {
    struct uid_range range;
    size_t offset = 0;
    while (journal_range(entry->ranges, &offset, &range))
        uid_set_remove(&state->unremoved, range.first, range.last);
}

static void apply_keyword(struct folder_state *state, const struct journal_entry *entry,
                          const struct state_watcher *watcher) {
    struct str copy;
    if (!arena_copy(state->texts, entry->name, &copy)) return;
    state->keywords[entry->bit] = copy;
    if (watcher && watcher->keyword) watcher->keyword(watcher->context);
}

static void apply_sizes(struct folder_state *state, const struct journal_entry *entry) {
    size_t offset = 0;
    uint32_t uid;
    uint64_t size;
    while (journal_size(entry->rows, &offset, &uid, &size)) {
        uint32_t slot = folder_state_find(state, uid);
        if (slot == UINT32_MAX) continue;
        struct folder_record *record = folder_state_edit(state, slot);
        bool gone = slot_set_has(&state->gone, slot);
        if (!gone) count_message(state, record, false);
        record->virtual_size = size;
        if (!gone) count_message(state, record, true);
    }
}

void folder_state_learn(struct folder_state *state, uint32_t slot, int64_t date, uint64_t size) {
    struct folder_record *record = folder_state_edit(state, slot);
    bool gone = slot_set_has(&state->gone, slot);
    if (!gone) count_message(state, record, false);
    if (date != FOLDER_DATE_UNKNOWN) record->internal_date = date;
    if (size != FOLDER_SIZE_UNKNOWN) record->size = size;
    if (!gone) count_message(state, record, true);
}

static void apply_looks(struct folder_state *state, const struct journal_entry *entry) {
    size_t offset = 0;
    uint32_t uid;
    int64_t date;
    uint64_t size;
    while (journal_look(entry->rows, &offset, &uid, &date, &size)) {
        uint32_t slot = folder_state_find(state, uid);
        if (slot != UINT32_MAX) folder_state_learn(state, slot, date, size);
    }
}

static void apply_numbers(struct folder_state *state, const struct journal_entry *entry) {
    note_numbers(state, entry->uid_next ? entry->uid_next - 1 : 0, entry->modseq);
    if (entry->recent_from > state->header.recent_from) state->header.recent_from = entry->recent_from;
}

void folder_state_apply(struct folder_state *state, const struct journal_entry *entry,
                        const struct state_watcher *watcher) {
    switch (entry->type) {
    case JOURNAL_ADD:
        apply_add(state, &entry->record, watcher);
        break;
    case JOURNAL_FLAGS:
        for_slots(state, entry, watcher, apply_flags);
        note_numbers(state, 0, entry->modseq);
        break;
    case JOURNAL_NAMED:
        for_slots(state, entry, watcher, apply_named);
        break;
    case JOURNAL_EXPUNGE:
        for_slots(state, entry, watcher, apply_expunge);
        note_expunged(state, entry);
        note_numbers(state, 0, entry->modseq);
        break;
    case JOURNAL_REMOVED:
        apply_removed(state, entry);
        break;
    case JOURNAL_KEYWORD:
        apply_keyword(state, entry, watcher);
        break;
    case JOURNAL_DATES:
        state->header.cur = entry->cur;
        state->header.new = entry->new;
        state->header.read_whole = entry->read_whole;
        break;
    case JOURNAL_SIZES:
        apply_sizes(state, entry);
        break;
    case JOURNAL_NUMBERS:
        apply_numbers(state, entry);
        break;
    case JOURNAL_LOOKS:
        apply_looks(state, entry);
        break;
    }
}
