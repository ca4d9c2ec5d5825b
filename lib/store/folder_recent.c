/* See folder_recent.h. */
#include "folder_recent.h"

#include "folder_journal.h"
#include "store_root.h"

uint32_t folder_recent(const struct folder *folder) {
    uint32_t first = folder_sequence_from(folder, folder->recent_from);
    uint32_t end = folder_sequence_from(folder, folder->recent_to);
    return end > first ? end - first : 0;
}

void folder_recent_range(const struct folder *folder, uint32_t *from, uint32_t *to) {
    *from = folder->recent_from;
    *to = folder->recent_to;
}

void folder_set_recent_range(struct folder *folder, uint32_t from, uint32_t to) {
    folder->recent_from = from;
    if (to > folder->recent_to) folder->recent_to = to;
}

enum store_result folder_claim_recent(struct folder *folder, struct failure *failure) {
    struct folder_header *header = &folder->state.header;
    if (folder->read_only || header->recent_from >= header->uid_next) {
        if (folder->read_only) {
            folder->recent_from = header->recent_from;
            folder->recent_to = header->uid_next;
        }
        return STORE_OK;
    }
    if (!folder_lock(folder, failure)) return store_trouble(failure);
    struct buf entries = buf_make(0);
    uint32_t from = header->recent_from, to = header->uid_next;
    struct journal_entry numbers = {.type = JOURNAL_NUMBERS, .uid_next = to, .recent_from = to};
    journal_append(&entries, &numbers, NULL);
    enum store_result result = from < to ? folder_append(folder, &entries, 0, failure) : STORE_OK;
    folder_unlock(folder);
    buf_free(&entries);
    if (result != STORE_OK) return result;
    if (folder->recent_to != from || folder->recent_from == folder->recent_to) folder->recent_from = from;
    folder->recent_to = to;
    return STORE_OK;
}
