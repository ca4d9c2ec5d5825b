/* Changing flags and keywords: by the journal, under the folder's lock; folder_settle.c brings them into file names. */
#include "folder_flags.h"

#include "folder_journal.h"
#include "store_root.h"

/* ---- keywords */

/* The bit that a keyword gets by entries that are still to be appended, or -1; *taken: all that they give. */
static int pending_bit(const struct buf *entries, struct str name, uint64_t *taken) {
    struct journal_entry entry;
    size_t offset = 0;
    int bit = -1;
    *taken = 0;
    while (journal_next(buf_str(entries), &offset, &entry)) {
        if (entry.type != JOURNAL_KEYWORD) continue;
        *taken |= (uint64_t)1 << entry.bit;
        if (str_equal_nocase(entry.name, name)) bit = entry.bit;
    }
    return bit;
}

/* The bit of a keyword; a new one gets a free bit, noted in entries. -1: there is none left. */
static int keyword_bit(struct folder *folder, struct str name, struct buf *entries) {
    uint64_t taken;
    int bit = folder_keyword_bit(folder, name);
    if (bit < 0) bit = pending_bit(entries, name, &taken);
    if (bit >= 0) return bit;
    for (bit = 0; bit < FOLDER_KEYWORDS_MAX; bit++) {
        if (folder->state.keywords[bit].length > 0 || (taken >> bit & 1)) continue;
        struct journal_entry entry = {.type = JOURNAL_KEYWORD, .bit = (uint8_t)bit, .name = name};
        journal_append(entries, &entry, NULL);
        return bit;
    }
    return -1;
}

enum store_result folder_keyword_bits(struct folder *folder, const struct str *keywords, size_t count, bool make,
                                      struct buf *entries, uint64_t *bits, struct failure *failure) {
    *bits = 0;
    for (size_t i = 0; i < count; i++) {
        if (keywords[i].length == 0 || keywords[i].length > FOLDER_KEYWORD_LENGTH) {
            failure_set(failure, "a keyword is too long");
            return STORE_LIMIT;
        }
        int bit = make ? keyword_bit(folder, keywords[i], entries) : folder_keyword_bit(folder, keywords[i]);
        if (bit < 0 && !make) continue;
        if (bit < 0) {
            failure_set(failure, "too many keywords in this mailbox");
            return STORE_LIMIT;
        }
        *bits |= (uint64_t)1 << bit;
    }
    return STORE_OK;
}

/* ---- flags */

static bool would_change(const struct folder_record *record, enum flags_change change, uint8_t system,
                         uint64_t keywords) {
    switch (change) {
    case FLAGS_REPLACE:
        return record->system != system || record->keywords != keywords;
    case FLAGS_ADD:
        return (record->system & system) != system || (record->keywords & keywords) != keywords;
    case FLAGS_REMOVE:
        return (record->system & system) != 0 || (record->keywords & keywords) != 0;
    }
    return false;
}

/* Which of the asked messages change, and which are newer than the client knows. */
static void choose(const struct folder *folder, const struct uid_set *uids, const struct journal_entry *wish,
                   uint64_t unchanged_since, struct uid_set *modified, struct uid_set *chosen) {
    const struct folder_state *state = &folder->state;
    for (size_t i = 0; i < uids->count; i++) {
        for (uint32_t slot = folder_state_slot_from(state, uids->ranges[i].first); slot < folder->view_slots; slot++) {
            struct folder_record record;
            folder_state_get(state, slot, &record);
            if (record.uid > uids->ranges[i].last) break;
            if (slot_set_has(&state->gone, slot)) continue;
            if (unchanged_since > 0 && record.modseq > unchanged_since) {
                if (modified) uid_set_add(modified, record.uid, record.uid);
            } else if (would_change(&record, (enum flags_change)wish->change, wish->system, wish->keywords)) {
                uid_set_add(chosen, record.uid, record.uid);
            }
        }
    }
}

enum store_result folder_store(struct folder *folder, const struct uid_set *uids, const struct flags_wish *flags,
                               struct uid_set *modified, struct uid_set *changed, struct failure *failure) {
    struct journal_entry wish = {.type = JOURNAL_FLAGS,
                                 .change = (uint8_t)flags->change,
                                 .system = (uint8_t)(flags->system & ~(unsigned)FLAG_RECENT)};
    struct buf entries = buf_make(0);
    struct uid_set chosen = {0};
    if (!folder_lock(folder, failure)) return store_trouble(failure);
    enum store_result result = folder_keyword_bits(folder, flags->keywords, flags->keyword_count,
                                                   flags->change != FLAGS_REMOVE, &entries, &wish.keywords, failure);
    if (result == STORE_OK) choose(folder, uids, &wish, flags->unchanged_since, modified, &chosen);
    if (chosen.count > 0) {
        wish.modseq = folder->state.header.highest_modseq + 1;
        journal_append(&entries, &wish, &chosen);
        result = folder_append(folder, &entries, APPEND_OWN, failure);
        folder->names_behind = true;
    }
    folder_unlock(folder);
    if (result == STORE_OK && changed) uid_set_add_set(changed, &chosen);
    uid_set_free(&chosen);
    buf_free(&entries);
    return result;
}
