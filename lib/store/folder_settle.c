/* What can be put off: flags into file names, the journal to the disk, the snapshot anew. */
#include "folder_settle.h"

#include <errno.h>
#include <unistd.h>

#include "folder_dates.h"
#include "folder_expunge.h"
#include "folder_journal.h"
#include "folder_message.h"
#include "folder_name.h"
#include "folder_scan.h"
#include "folder_snapshot.h"

#define JOURNAL_SMALL 65536 /* octets of journal that are no reason to write the snapshot anew */
#define JOURNAL_SHARE 8     /* ... nor is this part of the file */
#define LEARNT_SHARE  32    /* ... but sizes and dates that were asked for are learnt only once */
#define NAME_FLAGS    ((unsigned)(FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT | FLAG_FORWARDED))

/* ---- file names */

struct naming {
    struct folder *folder;
    struct uid_set renamed[64]; /* by flags */
    struct buf from, to;
    bool trouble;
};

/* Renames the file as its record's flags say, into cur/. */
static void name_slot(struct naming *naming, uint32_t slot) {
    struct folder *folder = naming->folder;
    struct folder_record record;
    folder_state_get(&folder->state, slot, &record);
    if (record.name.length == 0 || slot_set_has(&folder->state.gone, slot)) return;
    uint8_t flags = (uint8_t)(record.system & NAME_FLAGS);
    if (record.place == PLACE_CUR && record.name_flags == flags && str_find(record.name, '\0') == STR_NONE) return;
    buf_clear(&naming->from);
    buf_clear(&naming->to);
    folder_record_path(&record, &naming->from);
    record.name = folder_name_base(record.name);
    record.place = PLACE_CUR;
    record.name_flags = flags;
    folder_record_path(&record, &naming->to);
    if (renameat(folder->directory, buf_string(&naming->from), folder->directory, buf_string(&naming->to)) == 0)
        uid_set_add(&naming->renamed[flags], record.uid, record.uid);
    else if (errno == ENOENT)
        folder->read_all = true; /* another program was there first: the next scan says how */
    else
        naming->trouble = true;
}

/* Only what has changed since the snapshot can have a name that is behind: it is settled before each new one. */
static void name_changed_slots(struct naming *naming) {
    const struct folder_state *state = &naming->folder->state;
    for (uint32_t slot = 0; (slot = folder_state_next_changed(state, slot)) < folder_state_slots(state); slot++)
        name_slot(naming, slot);
}

static enum store_result settle_names(struct folder *folder, struct failure *failure) {
    struct naming naming = {.folder = folder};
    struct buf entries = buf_make(0);
    struct folder_own_change own;
    folder_own_change_begin(folder, &own);
    name_changed_slots(&naming);
    for (unsigned flags = 0; flags < ARRAY_LENGTH(naming.renamed); flags++) {
        struct journal_entry named = {.type = JOURNAL_NAMED, .place = PLACE_CUR, .name_flags = (uint8_t)flags};
        if (naming.renamed[flags].count > 0) journal_append(&entries, &named, &naming.renamed[flags]);
        uid_set_free(&naming.renamed[flags]);
    }
    if (entries.length > 0) folder_own_change_end(folder, &own, &entries);
    enum store_result result = folder_append(folder, &entries, APPEND_OWN, failure);
    if (result == STORE_OK) folder->names_behind = naming.trouble;
    buf_free(&naming.from);
    buf_free(&naming.to);
    buf_free(&entries);
    return result;
}

/* ---- settling */

bool folder_is_journal_long(const struct folder *folder) {
    uint64_t snapshot = folder->state.map_size, journal = folder->state.position - snapshot;
    return journal > JOURNAL_SMALL && (journal > snapshot / JOURNAL_SHARE || folder->learnt > snapshot / LEARNT_SHARE);
}

bool folder_is_unsettled(const struct folder *folder) {
    return folder->names_behind || folder->journal_unsynced || folder->counted.length > 0 || folder->looks.length > 0 ||
           folder->state.unremoved.count > 0;
}

static bool settle_files(struct folder *folder, struct failure *failure) {
    bool compact = folder_is_journal_long(folder), left = folder->state.unremoved.count > 0;
    bool names = !folder->read_only && folder->names_behind;
    if (!names && !left && !compact) return true;
    if (!folder_lock(folder, failure)) return false;
    bool good = true;
    /* Files that are not called what we think are met by the scan: the new snapshot forgets expunged messages. */
    if (left) good = folder_remove_expunged(folder, failure) == STORE_OK;
    if (good && folder->state.unremoved.count > 0) good = folder_scan(folder, failure) == STORE_OK;
    /* ... and which flags another process has not written into names. */
    if (good && (names || compact)) good = settle_names(folder, failure) == STORE_OK;
    if (good && compact)
        good = folder_snapshot_write(folder->directory, &folder->state, failure) && folder_reload(folder, failure);
    folder_unlock(folder);
    if (good && compact) folder->learnt = 0;
    return good;
}

bool folder_settle(struct folder *folder, struct failure *failure) {
    folder_remember(folder);
    if (!settle_files(folder, failure)) return false;
    if (folder->journal_unsynced && fdatasync(folder->state.file) < 0)
        return failure_set_errno(failure, errno, "cannot sync tern-mailbox");
    folder->journal_unsynced = false;
    return true;
}
