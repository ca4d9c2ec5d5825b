/* Expunging, under the folder's lock: the journal first, then the files. */
#include "folder_expunge.h"

#include <errno.h>
#include <unistd.h>

#include "folder_dates.h"
#include "folder_journal.h"
#include "folder_name.h"
#include "store_root.h"

/* Unlinks the files of expunged messages. One that is called otherwise is met by the next scan. */
enum store_result folder_remove_expunged(struct folder *folder, struct failure *failure) {
    struct buf path = buf_make(0), entries = buf_make(0);
    struct folder_own_change own;
    const struct uid_set *left = &folder->state.unremoved;
    struct journal_entry removed = {.type = JOURNAL_REMOVED};
    struct uid_set gone = {0};
    folder_own_change_begin(folder, &own);
    for (size_t i = 0; i < left->count; i++) {
        for (uint32_t slot = folder_state_slot_from(&folder->state, left->ranges[i].first);
             slot < folder_state_slots(&folder->state); slot++) {
            struct folder_record record;
            folder_state_get(&folder->state, slot, &record);
            if (record.uid > left->ranges[i].last) break;
            buf_clear(&path);
            folder_record_path(&record, &path);
            if (record.name.length == 0 || unlinkat(folder->directory, buf_string(&path), 0) == 0)
                uid_set_add(&gone, record.uid, record.uid);
            else if (errno == ENOENT)
                folder->read_all = true; /* under another name perhaps: the scan removes it */
        }
    }
    if (gone.count > 0) journal_append(&entries, &removed, &gone);
    folder_own_change_end(folder, &own, &entries);
    enum store_result result = folder_append(folder, &entries, APPEND_OWN, failure);
    uid_set_free(&gone);
    buf_free(&path);
    buf_free(&entries);
    return result;
}

enum store_result folder_expunge_uids(struct folder *folder, const struct uid_set *uids, bool remove_files,
                                      struct failure *failure) {
    struct buf entries = buf_make(0);
    struct journal_entry entry = {.type = JOURNAL_EXPUNGE, .modseq = folder->state.header.highest_modseq + 1};
    journal_append(&entries, &entry, uids);
    entry.type = JOURNAL_REMOVED;
    if (!remove_files) journal_append(&entries, &entry, uids);
    enum store_result result = folder_append(folder, &entries, 0, failure);
    if (result == STORE_OK && remove_files) result = folder_remove_expunged(folder, failure);
    buf_free(&entries);
    return result;
}

static void choose_deleted(const struct folder *folder, const struct uid_set *uids, struct uid_set *chosen) {
    const struct folder_state *state = &folder->state;
    for (uint32_t slot = 0; slot < folder->view_slots; slot++) {
        struct folder_record record;
        if (slot_set_has(&state->gone, slot)) continue;
        folder_state_get(state, slot, &record);
        if ((record.system & FLAG_DELETED) && (!uids || uid_set_has(uids, record.uid)))
            uid_set_add(chosen, record.uid, record.uid);
    }
}

enum store_result folder_expunge(struct folder *folder, const struct uid_set *uids, struct failure *failure) {
    struct uid_set chosen = {0};
    if (!folder_lock(folder, failure)) return store_trouble(failure);
    choose_deleted(folder, uids, &chosen);
    enum store_result result = chosen.count > 0 ? folder_expunge_uids(folder, &chosen, true, failure) : STORE_OK;
    folder_unlock(folder);
    uid_set_free(&chosen);
    return result;
}

enum store_result folder_remove(struct folder *folder, const struct uid_set *uids, struct failure *failure) {
    struct uid_set chosen = {0};
    if (!folder_lock(folder, failure)) return store_trouble(failure);
    for (size_t i = 0; i < uids->count; i++) {
        for (uint32_t slot = folder_state_slot_from(&folder->state, uids->ranges[i].first);
             slot < folder_state_slots(&folder->state); slot++) {
            uint32_t uid = folder_state_uid(&folder->state, slot);
            if (uid > uids->ranges[i].last) break;
            if (!slot_set_has(&folder->state.gone, slot)) uid_set_add(&chosen, uid, uid);
        }
    }
    enum store_result result = chosen.count > 0 ? folder_expunge_uids(folder, &chosen, true, failure) : STORE_OK;
    folder_unlock(folder);
    uid_set_free(&chosen);
    return result;
}
