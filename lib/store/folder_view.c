/* See folder_view.h. */
#include "folder_view.h"

/* ---- numbers */

uint32_t folder_count(const struct folder *folder) {
    return folder->view_slots - folder->dropped.members;
}

/* Counting may build the set's own table: no change that anyone could see. */
static struct slot_set *dropped_of(const struct folder *folder) {
    return (struct slot_set *)(uintptr_t)&folder->dropped;
}

uint32_t folder_slot(const struct folder *folder, uint32_t sequence) {
    return slot_set_nth_absent(dropped_of(folder), sequence - 1, folder->view_slots);
}

uint32_t folder_slot_sequence(const struct folder *folder, uint32_t slot) {
    return slot - slot_set_before(dropped_of(folder), slot) + 1;
}

uint32_t folder_uid(const struct folder *folder, uint32_t sequence) {
    return folder_state_uid(&folder->state, folder_slot(folder, sequence));
}

/* UIDs rise: where the last one is as far from the first as there are messages between them, all those between are
 * known, and need not be looked at, each at a place of its own in memory. In steps that double, then by halves. */
uint32_t folder_uid_run(const struct folder *folder, uint32_t sequence) {
    uint32_t count = folder_count(folder) - sequence + 1, uid = folder_uid(folder, sequence);
    uint32_t known = 1, beyond = 2; /* messages in the run; too many, or not known */
    while (beyond <= count && folder_uid(folder, sequence + beyond - 1) == uid + beyond - 1) {
        known = beyond;
        beyond = beyond <= count / 2 ? beyond * 2 : count + (beyond == count);
    }
    while (beyond - known > 1) {
        uint32_t middle = known + (beyond - known) / 2;
        if (folder_uid(folder, sequence + middle - 1) == uid + middle - 1)
            known = middle;
        else
            beyond = middle;
    }
    return known;
}

void folder_uids(const struct folder *folder, uint32_t sequence, uint32_t count, uint32_t *uids) {
    for (uint32_t from = 0; from < count;) {
        uint32_t uid = folder_uid(folder, sequence + from), run = folder_uid_run(folder, sequence + from);
        for (; run > 0 && from < count; run--)
            uids[from++] = uid++;
    }
}

uint32_t folder_sequence(const struct folder *folder, uint32_t uid) {
    uint32_t slot = folder_state_find(&folder->state, uid);
    if (slot >= folder->view_slots || slot_set_has(&folder->dropped, slot)) return 0;
    return folder_slot_sequence(folder, slot);
}

uint32_t folder_sequence_from(const struct folder *folder, uint32_t uid) {
    uint32_t slot = folder_state_slot_from(&folder->state, uid);
    return folder_slot_sequence(folder, slot < folder->view_slots ? slot : folder->view_slots);
}

/* ---- what happens while the journal is read */

static void note_changed(void *context, uint32_t slot) {
    struct folder *folder = context;
    if (!folder->applying_own && slot < folder->view_slots) slot_list_add(&folder->changed, slot);
}

static void note_expunged(void *context, uint32_t slot) {
    struct folder *folder = context;
    if (slot < folder->view_slots) slot_list_add(&folder->expunged, slot);
}

static void note_keyword(void *context) {
    struct folder *folder = context;
    folder->keywords_changed = true;
}

struct state_watcher folder_watcher(struct folder *folder) {
    return (struct state_watcher){
        .changed = note_changed, .expunged = note_expunged, .keyword = note_keyword, .context = folder};
}

/* ---- the view over a state */

void folder_view_all(struct folder *folder) {
    folder->view_slots = folder_state_slots(&folder->state);
    slot_set_free(&folder->dropped);
    for (uint32_t slot = 0; folder->state.gone.members > 0 && slot < folder->view_slots; slot++)
        if (slot_set_has(&folder->state.gone, slot)) slot_set_add(&folder->dropped, slot);
    folder->changed.count = folder->expunged.count = 0;
}

/* UIDs that the view shows. */
static void shown_uids(const struct folder *folder, struct uid_set *uids) {
    for (uint32_t slot = 0; slot < folder->view_slots; slot++) {
        uint32_t uid = folder_state_uid(&folder->state, slot);
        if (!slot_set_has(&folder->dropped, slot)) uid_set_add(uids, uid, uid);
    }
}

/* Lays the view of someone who has seen all up to told_next and modseq over the state; shown: the UIDs that he
 * sees, of which those that are no more must be told. */
static void lay_view(struct folder *folder, uint32_t told_next, uint64_t modseq, const struct uid_set *shown) {
    struct folder_state *state = &folder->state;
    struct uid_set ghosts = {0}, present = {0};
    uid_set_copy(shown, &ghosts);
    for (uint32_t slot = 0; slot < folder_state_slots(state); slot++) {
        uint32_t uid = folder_state_uid(state, slot);
        uid_set_add(&present, uid, uid);
    }
    uid_set_subtract(&ghosts, &present);
    uid_set_free(&present);
    if (ghosts.count > 0) folder_state_add_ghosts(state, &ghosts);
    uid_set_free(&ghosts);
    slot_set_free(&folder->dropped);
    folder->changed.count = folder->expunged.count = 0;
    folder->view_slots = folder_state_slot_from(state, told_next);
    for (uint32_t slot = 0; slot < folder->view_slots; slot++) {
        struct folder_record record;
        folder_state_get(state, slot, &record);
        if (!uid_set_has(shown, record.uid))
            slot_set_add(&folder->dropped, slot);
        else if (slot_set_has(&state->gone, slot))
            slot_list_add(&folder->expunged, slot);
        else if (record.modseq > modseq)
            slot_list_add(&folder->changed, slot);
    }
}

void folder_view_renew(struct folder *folder, struct folder_state *loaded) {
    struct uid_set shown = {0};
    if (loaded->header.uid_validity != folder->state.header.uid_validity) folder->renewed = true;
    uint32_t told_next = folder->view_slots > 0 ? folder_state_uid(&folder->state, folder->view_slots - 1) + 1 : 1;
    uint64_t modseq = folder->state.header.highest_modseq;
    /* What waits to be told is told by its modseq again, so those that changed count as seen before the change. */
    for (size_t i = 0; i < folder->changed.count; i++) {
        struct folder_record record;
        folder_state_get(&folder->state, folder->changed.slots[i], &record);
        if (record.modseq <= modseq && record.modseq > 0) modseq = record.modseq - 1;
    }
    shown_uids(folder, &shown);
    folder_state_free(&folder->state);
    folder->state = *loaded;
    lay_view(folder, told_next, modseq, &shown);
    folder->keywords_changed = true;
    uid_set_free(&shown);
}

bool folder_restore_view(struct folder *folder, uint32_t uid_validity, uint32_t uid_next, uint64_t modseq) {
    struct uid_set shown = {0}, expunged = {0};
    if (uid_validity != folder->state.header.uid_validity ||
        !folder_state_expunged_since(&folder->state, modseq, &expunged)) {
        uid_set_free(&expunged);
        return false;
    }
    uint32_t end = folder_state_slot_from(&folder->state, uid_next);
    for (uint32_t slot = 0; slot < end; slot++) {
        uint32_t uid = folder_state_uid(&folder->state, slot);
        if (!slot_set_has(&folder->state.gone, slot)) uid_set_add(&shown, uid, uid);
    }
    uid_set_remove(&expunged, uid_next, UINT32_MAX);
    uid_set_add_set(&shown, &expunged);
    lay_view(folder, uid_next, modseq, &shown);
    uid_set_free(&shown);
    uid_set_free(&expunged);
    return true;
}

/* ---- telling */

/* The numbers of those that go, each as those before leave it: from the end, none moves another. */
static void tell_expunged(struct folder *folder, struct folder_changes *changes) {
    slot_list_sort(&folder->expunged);
    if (changes && folder->expunged.count > 0)
        changes->expunged = memory_allocate(folder->expunged.count, sizeof *changes->expunged);
    for (size_t i = folder->expunged.count; i-- > 0;) {
        uint32_t slot = folder->expunged.slots[i];
        if (slot_set_has(&folder->dropped, slot) || !changes) continue;
        changes->expunged[changes->expunged_count++] = folder_slot_sequence(folder, slot);
    }
    for (size_t i = 0; i < folder->expunged.count; i++) {
        uint32_t slot = folder->expunged.slots[i], uid = folder_state_uid(&folder->state, slot);
        if (changes && !slot_set_has(&folder->dropped, slot)) uid_set_add(&changes->expunged_uids, uid, uid);
        slot_set_add(&folder->dropped, slot);
    }
    folder->expunged.count = 0;
}

/* New messages enter the view; those that are gone already never do. */
static void show_new(struct folder *folder, struct folder_changes *changes) {
    uint32_t slots = folder_state_slots(&folder->state), before = folder_count(folder);
    for (uint32_t slot = folder->view_slots; slot < slots; slot++)
        if (slot_set_has(&folder->state.gone, slot)) slot_set_add(&folder->dropped, slot);
    folder->view_slots = slots;
    if (changes) changes->grew = folder_count(folder) != before;
}

static void tell_changed(struct folder *folder, struct folder_changes *changes) {
    slot_list_sort(&folder->changed);
    if (changes && folder->changed.count > 0)
        changes->changed = memory_allocate(folder->changed.count, sizeof *changes->changed);
    for (size_t i = 0; changes && i < folder->changed.count; i++) {
        uint32_t slot = folder->changed.slots[i];
        if (slot_set_has(&folder->dropped, slot) || slot_set_has(&folder->state.gone, slot)) continue;
        changes->changed[changes->changed_count++] = folder_slot_sequence(folder, slot);
    }
    folder->changed.count = 0;
    if (changes) changes->keywords_changed = folder->keywords_changed;
    folder->keywords_changed = false;
}

void folder_view_tell(struct folder *folder, bool keep_expunged, struct folder_changes *changes) {
    if (changes) changes->renewed = folder->renewed;
    if (!keep_expunged) tell_expunged(folder, changes);
    show_new(folder, changes);
    tell_changed(folder, changes);
}

void folder_changes_free(struct folder_changes *changes) {
    MEMORY_FREE(changes->expunged);
    MEMORY_FREE(changes->changed);
    uid_set_free(&changes->expunged_uids);
    *changes = (struct folder_changes){0};
}
