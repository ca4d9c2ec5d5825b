/* See folder_state.h. */
#include "folder_state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_SLOTS    256U /* records that are copied together when one of them changes */
#define JOURNAL_LIMIT ((uint64_t)1 << 30)

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
    else if (state->pages[slot / PAGE_SLOTS])
        *record = state->pages[slot / PAGE_SLOTS][slot % PAGE_SLOTS];
    else
        read_base(state, slot, record);
}

uint32_t folder_state_uid(const struct folder_state *state, uint32_t slot) {
    if (slot >= state->base) return state->tail[slot - state->base].uid;
    return folder_record_uid(state->records + (size_t)slot * FOLDER_RECORD_SIZE);
}

struct folder_record *folder_state_edit(struct folder_state *state, uint32_t slot) {
    if (slot >= state->base) return &state->tail[slot - state->base];
    struct folder_record **page = &state->pages[slot / PAGE_SLOTS];
    if (!*page) {
        uint32_t first = slot / PAGE_SLOTS * PAGE_SLOTS;
        *page = memory_allocate(PAGE_SLOTS, sizeof **page);
        for (uint32_t i = 0; i < PAGE_SLOTS && first + i < state->base; i++)
            read_base(state, first + i, &(*page)[i]);
    }
    return &(*page)[slot % PAGE_SLOTS];
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
    while (slot < state->base && !state->pages[slot / PAGE_SLOTS]) {
        uint32_t next = (slot / PAGE_SLOTS + 1) * PAGE_SLOTS;
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

void folder_state_expunged_row(const struct folder_state *state, uint64_t row, struct uid_range *range, uint64_t *modseq) {
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
            all[count] = (struct folder_record){.uid = (uint32_t)uid, .system = FLAG_SEEN, .place = PLACE_CUR, .name = STR_EMPTY};
            slot_set_add(&gone, count++);
        }
    }
    for (uint32_t page = 0; page <= state->base / PAGE_SLOTS; page++)
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

static void apply_add(struct folder_state *state, const struct folder_record *record, const struct state_watcher *watcher) {
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

static void for_slots(struct folder_state *state, const struct journal_entry *entry, const struct state_watcher *watcher,
                      slot_function *function) {
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

static void apply_keyword(struct folder_state *state, const struct journal_entry *entry, const struct state_watcher *watcher) {
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

void folder_state_apply(struct folder_state *state, const struct journal_entry *entry, const struct state_watcher *watcher) {
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

/* ---- reading the file */

int folder_state_open(int directory) {
    return openat(directory, FOLDER_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

/* whole: all that the file has is read, so that damage can be told from a torn end. */
static bool read_journal(struct folder_state *state, const struct state_watcher *watcher, bool whole, struct failure *failure) {
    struct stat status;
    struct journal_entry entry;
    if (fstat(state->file, &status) < 0) return failure_set_errno(failure, errno, "cannot look at tern-mailbox");
    uint64_t size = (uint64_t)status.st_size;
    if (size < state->position || size - state->position > JOURNAL_LIMIT)
        return failure_set(failure, "tern-mailbox is shorter than it was, or has grown beyond all measure");
    if (size == state->position) return true;
    size_t length = (size_t)(size - state->position), have = 0, offset = 0;
    char *bytes = memory_allocate(length, 1);
    while (have < length) {
        ssize_t got = pread(state->file, bytes + have, length - have, (off_t)(state->position + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        have += (size_t)got;
    }
    while (journal_next(str_make(bytes, have), &offset, &entry))
        folder_state_apply(state, &entry, watcher);
    state->position += offset;
    bool damaged = whole && offset < have && journal_goes_on(str_make(bytes, have), offset);
    MEMORY_FREE(bytes);
    return !damaged || failure_set(failure, "tern-mailbox is damaged");
}

bool folder_state_read(struct folder_state *state, const struct state_watcher *watcher, struct failure *failure) {
    return read_journal(state, watcher, false, failure);
}

static void read_keywords(struct folder_state *state) {
    struct str rest = str_make((const char *)state->map + FOLDER_HEADER_SIZE, state->header.keywords_length), name;
    for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX && str_cut(rest, '\0', &name, &rest); bit++)
        state->keywords[bit] = name;
}

/* The sections of a mapped file. */
static void find_sections(struct folder_state *state) {
    const struct folder_header *header = &state->header;
    const char *bytes = (const char *)state->map;
    state->names = str_make(bytes + folder_names_offset(header), header->names_length);
    state->records = state->map + folder_records_offset(header);
    state->base = header->count;
    state->position = folder_journal_offset(header);
    state->first_unseen_hint = header->first_unseen;
    state->pages = memory_allocate(state->base / PAGE_SLOTS + 1, sizeof *state->pages);
    state->texts = arena_create(0);
    for (unsigned bit = 0; bit < FOLDER_KEYWORDS_MAX; bit++)
        state->keywords[bit] = STR_EMPTY;
    read_keywords(state);
}

static bool map_snapshot(struct folder_state *state, struct failure *failure) {
    char bytes[FOLDER_HEADER_SIZE];
    struct stat status;
    if (fstat(state->file, &status) < 0) return failure_set_errno(failure, errno, "cannot look at tern-mailbox");
    ssize_t got = pread(state->file, bytes, sizeof bytes, 0);
    if (got < 0) return failure_set_errno(failure, errno, "cannot read tern-mailbox");
    if (!folder_header_decode(str_make(bytes, (size_t)got), (uint64_t)status.st_size, &state->header))
        return failure_set(failure, "tern-mailbox is damaged");
    state->map_size = folder_journal_offset(&state->header);
    void *map = mmap(NULL, state->map_size, PROT_READ, MAP_SHARED, state->file, 0);
    if (map == MAP_FAILED) return failure_set_errno(failure, errno, "cannot map tern-mailbox");
    state->map = map;
    return true;
}

bool folder_state_load(int file, struct folder_state *state, struct failure *failure) {
    struct folder_state loaded = {.file = file};
    if (!map_snapshot(&loaded, failure)) {
        close(file);
        return false;
    }
    find_sections(&loaded);
    if (!read_journal(&loaded, NULL, true, failure)) {
        folder_state_free(&loaded);
        return false;
    }
    *state = loaded;
    return true;
}

void folder_state_free(struct folder_state *state) {
    for (uint32_t i = 0; state->pages && i <= state->base / PAGE_SLOTS; i++)
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
