/* What is known of a folder and its messages, without a look at any file. */
#include "folder_view.h"

uint32_t folder_uid_validity(const struct folder *folder) {
    return folder->state.header.uid_validity;
}

uint32_t folder_uid_next(const struct folder *folder) {
    return folder->state.header.uid_next;
}

uint64_t folder_highest_modseq(const struct folder *folder) {
    return folder->state.header.highest_modseq;
}

const uint8_t *folder_id(const struct folder *folder) {
    return folder->state.header.id;
}

struct str folder_name(const struct folder *folder) {
    return str_from(folder->name);
}

bool folder_is_read_only(const struct folder *folder) {
    return folder->read_only;
}

int folder_descriptor(const struct folder *folder) {
    return folder->directory;
}

static bool is_recent(const struct folder *folder, uint32_t uid) {
    return uid >= folder->recent_from && uid < folder->recent_to;
}

void folder_message_known(const struct folder *folder, uint32_t sequence, struct folder_message *message) {
    struct folder_record record;
    folder_state_get(&folder->state, folder_slot(folder, sequence), &record);
    *message = (struct folder_message){
        .uid = record.uid,
        .flags = {.system = record.system | (is_recent(folder, record.uid) ? FLAG_RECENT : 0U),
                  .keywords = record.keywords},
        .modseq = record.modseq,
        .internal_date = record.internal_date,
        .save_date = record.save_date,
        .size = record.size,
        .virtual_size = record.virtual_size,
    };
}

uint32_t folder_first_unseen(const struct folder *folder) {
    struct folder_state *state = (struct folder_state *)(uintptr_t)&folder->state; /* the hint alone */
    struct folder_record record;
    for (uint32_t slot = state->first_unseen_hint; slot < folder->view_slots; slot++) {
        folder_state_get(state, slot, &record);
        if (slot_set_has(&state->gone, slot) || (record.system & FLAG_SEEN)) continue;
        state->first_unseen_hint = slot;
        return folder_slot_sequence(folder, slot);
    }
    state->first_unseen_hint = folder->view_slots;
    return 0;
}

struct str folder_keyword(const struct folder *folder, unsigned bit) {
    return bit < FOLDER_KEYWORDS_MAX ? folder->state.keywords[bit] : STR_EMPTY;
}

int folder_keyword_bit(const struct folder *folder, struct str name) {
    for (int bit = 0; name.length > 0 && bit < FOLDER_KEYWORDS_MAX; bit++)
        if (str_equal_nocase(folder->state.keywords[bit], name)) return bit;
    return -1;
}

bool folder_has_new_keywords(struct folder *folder) {
    bool changed = folder->keywords_changed;
    folder->keywords_changed = false;
    return changed;
}

unsigned folder_keyword_count(const struct folder *folder) {
    return folder_state_keyword_count(&folder->state);
}

bool folder_expunged_since(const struct folder *folder, uint64_t modseq, struct uid_set *uids) {
    return folder_state_expunged_since(&folder->state, modseq, uids);
}
