/* Reading a folder's directories: what other programs have put there, renamed or removed.
 *
 * Needed only when a directory's date says so. What differs from what tern knows is written to the journal
 * as if a client had done it: new messages get UIDs (in the order of the dates in their names), changed names
 * change flags, missing files are expunged. A file that is seen to be missing is looked for a second time: a program
 * that renames it meanwhile may have hidden it from one reading.
 *
 * What a large folder has when it is read for the first time goes into a new tern-mailbox at once, not by way of the
 * journal. */
#include "folder_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "clock.h"
#include "folder_dates.h"
#include "folder_journal.h"
#include "folder_name.h"
#include "folder_snapshot.h"
#include "newcomers.h"
#include "slot_table.h"
#include "store_root.h"

#define WRITTEN_AT_ONCE 1000 /* messages of a first reading from which on they do not go by way of the journal */

struct scan {
    struct folder *folder;
    bool read_cur;
    struct slot_table table;
    struct slot_set seen;
    struct newcomers newcomers;
    struct slot_list removed; /* files of expunged messages, unlinked now */
    struct buf entries;
    uint64_t modseq; /* of all that this scan changes; taken when first needed */
    int64_t now;     /* seconds: the save date of what is met */
    bool at_once;    /* the first reading of a large folder: entries are applied here, and the file is written anew */
    struct failure *failure;
};

/* Writes an entry, or applies it. */
static void say(struct scan *scan, const struct journal_entry *entry, const struct uid_set *uids) {
    if (scan->at_once)
        folder_state_apply(&scan->folder->state, entry, NULL);
    else
        journal_append(&scan->entries, entry, uids);
}

/* Whether a slot's file should be met by this scan. */
static bool is_expected(const struct scan *scan, uint32_t slot, const struct folder_record *record) {
    const struct folder_state *state = &scan->folder->state;
    if (record->name.length == 0) return false; /* a ghost */
    if (slot_set_has(&state->gone, slot)) return uid_set_has(&state->unremoved, record->uid);
    return scan->read_cur || record->place == PLACE_NEW;
}

static void fill_table(struct scan *scan) {
    const struct folder_state *state = &scan->folder->state;
    uint32_t slots = folder_state_slots(state);
    slot_table_make(&scan->table, slots);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct folder_record record;
        folder_state_get(state, slot, &record);
        if (is_expected(scan, slot, &record)) slot_table_add(&scan->table, folder_name_base(record.name), slot);
    }
}

static uint64_t scan_modseq(struct scan *scan) {
    if (scan->modseq == 0) scan->modseq = scan->folder->state.header.highest_modseq + 1;
    return scan->modseq;
}

static struct uid_set one_uid(uint32_t uid, struct uid_range *range) {
    *range = (struct uid_range){uid, uid};
    return (struct uid_set){.ranges = range, .count = 1};
}

/* Whether a file is called what its record says. */
static bool is_named_so(const struct folder_record *record, uint8_t place, struct str info) {
    struct str base, odd;
    uint8_t flags;
    bool canonical;
    if (place != record->place) return false;
    if (str_cut(record->name, '\0', &base, &odd)) return str_equal(info, odd);
    folder_info_parse(info, &flags, &canonical);
    return place == PLACE_NEW ? info.length == 0 : canonical && flags == record->name_flags;
}

/* The journal can say which flags a name has, but not one that we would not write: it is given the name that we would.
 */
static void mend_name(struct scan *scan, int directory, const char *file_name, struct str base, uint8_t place,
                      uint8_t flags) {
    struct buf name = buf_make(0);
    buf_append(&name, base);
    if (place == PLACE_CUR) folder_info_format(flags, &name);
    if (!str_equal(buf_str(&name), str_from(file_name)) &&
        renameat2(directory, file_name, directory, buf_string(&name), RENAME_NOREPLACE) < 0)
        scan->folder->read_all = true;
    buf_free(&name);
}

/* A file of a message that we know: has another program given it another name? */
static void meet_known(struct scan *scan, uint32_t slot, uint8_t place, struct str info, int directory,
                       const char *file_name) {
    struct folder_record record;
    struct uid_range range;
    uint8_t flags;
    bool canonical;
    folder_state_get(&scan->folder->state, slot, &record);
    if (is_named_so(&record, place, info)) return;
    folder_info_parse(info, &flags, &canonical);
    struct uid_set uid = one_uid(record.uid, &range);
    if (flags != record.name_flags) {
        /* What it added or took away is added or taken away; what we have not written to the name yet stays. */
        struct journal_entry entry = {.type = JOURNAL_FLAGS, .change = FLAGS_REPLACE, .keywords = record.keywords};
        entry.system = (uint8_t)((record.system | (flags & ~record.name_flags)) & ~(record.name_flags & ~flags));
        entry.modseq = scan_modseq(scan);
        if (entry.system != record.system) journal_append(&scan->entries, &entry, &uid);
    }
    struct journal_entry named = {.type = JOURNAL_NAMED, .place = place, .name_flags = flags};
    journal_append(&scan->entries, &named, &uid);
    mend_name(scan, directory, file_name, folder_name_base(record.name), place, flags);
}

static void meet(struct scan *scan, const struct dirent *entry, uint8_t place, int directory, bool again) {
    struct str base, info;
    const char *file_name = entry->d_name;
    if (!folder_name_split(str_from(file_name), &base, &info)) return;
    uint32_t slot = slot_table_find(&scan->table, &scan->folder->state, base);
    if (slot == UINT32_MAX) {
        if (!again) newcomers_add(&scan->newcomers, base, info, place, entry->d_type == DT_REG);
    } else if (slot_set_has(&scan->folder->state.gone, slot)) {
        slot_set_add(&scan->seen, slot);
        if (unlinkat(directory, file_name, 0) == 0 || errno == ENOENT) slot_list_add(&scan->removed, slot);
    } else if (!slot_set_has(&scan->seen, slot)) {
        slot_set_add(&scan->seen, slot);
        meet_known(scan, slot, place, info, directory, file_name);
    }
}

static bool read_directory(struct scan *scan, const char *name, uint8_t place, bool again) {
    int copy = openat(scan->folder->directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    if (!listing) {
        failure_set_errno(scan->failure, errno, "cannot read the folder's %s", name);
        if (copy >= 0) close(copy);
        return false;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(listing)); errno = 0)
        meet(scan, entry, place, copy, again);
    bool good = errno == 0 || failure_set_errno(scan->failure, errno, "cannot read the folder's %s", name);
    closedir(listing);
    return good;
}

/* new/ first: what is moved to cur/ meanwhile is then met there. */
static bool read_directories(struct scan *scan, bool again) {
    return read_directory(scan, "new", PLACE_NEW, again) &&
           (!scan->read_cur || read_directory(scan, "cur", PLACE_CUR, again));
}

/* The slots whose files were expected and not met. */
static void find_missing(const struct scan *scan, struct uid_set *missing) {
    const struct folder_state *state = &scan->folder->state;
    for (uint32_t slot = 0; slot < folder_state_slots(state); slot++) {
        struct folder_record record;
        if (slot_set_has(&state->gone, slot) || slot_set_has(&scan->seen, slot)) continue;
        folder_state_get(state, slot, &record);
        if (is_expected(scan, slot, &record)) uid_set_add(missing, record.uid, record.uid);
    }
}

/* Of expunged messages whose files were not removed yet: those that were not met either. */
static void find_removed(const struct scan *scan, struct uid_set *removed) {
    const struct folder_state *state = &scan->folder->state;
    uid_set_copy(&state->unremoved, removed);
    for (size_t i = 0; i < state->unremoved.count; i++) {
        const struct uid_range *range = &state->unremoved.ranges[i];
        uint32_t slot = folder_state_slot_from(state, range->first);
        for (; slot < folder_state_slots(state) && folder_state_uid(state, slot) <= range->last; slot++)
            if (slot_set_has(&scan->seen, slot))
                uid_set_remove(removed, folder_state_uid(state, slot), folder_state_uid(state, slot));
    }
}

/* Moved to cur/ perhaps, by a program that reads mail there, or renamed while we read. */
static bool read_again(struct scan *scan) {
    if (!scan->read_cur) {
        scan->read_cur = true; /* all messages are expected now */
        slot_table_free(&scan->table);
        fill_table(scan);
    }
    return read_directories(scan, true);
}

static bool expunge_missing(struct scan *scan) {
    struct uid_set missing = {0}, removed = {0};
    find_missing(scan, &missing);
    find_removed(scan, &removed);
    bool good = true;
    if (missing.count > 0 || removed.count > 0) {
        good = read_again(scan);
        uid_set_clear(&missing);
        find_missing(scan, &missing);
        find_removed(scan, &removed);
    }
    struct journal_entry entry = {.type = JOURNAL_EXPUNGE};
    if (good && missing.count > 0) {
        entry.modseq = scan_modseq(scan);
        journal_append(&scan->entries, &entry, &missing);
        uid_set_add_set(&removed, &missing);
    }
    entry.type = JOURNAL_REMOVED;
    if (good && removed.count > 0) journal_append(&scan->entries, &entry, &removed);
    uid_set_free(&missing);
    uid_set_free(&removed);
    return good;
}

/* In the order in which they get UIDs. */
static void add_new(struct scan *scan) {
    const struct folder_import *import = scan->newcomers.import;
    struct journal_entry entry = {.type = JOURNAL_ADD};
    struct newcomer_reader reader;
    newcomers_read_begin(&scan->newcomers, scan->folder->directory, scan->now, scan->folder->state.header.uid_next,
                         &reader);
    while (newcomers_read(&reader, &entry.record)) {
        entry.record.modseq = scan_modseq(scan);
        say(scan, &entry, NULL);
    }
    newcomers_read_end(&reader);
    if (import && import->uid_next > reader.uid_next) {
        struct journal_entry numbers = {.type = JOURNAL_NUMBERS, .uid_next = import->uid_next};
        say(scan, &numbers, NULL);
    }
}

static void note_removed(struct scan *scan) {
    struct uid_set uids = {0};
    struct journal_entry entry = {.type = JOURNAL_REMOVED};
    for (size_t i = 0; i < scan->removed.count; i++) {
        uint32_t uid = folder_state_uid(&scan->folder->state, scan->removed.slots[i]);
        uid_set_add(&uids, uid, uid);
    }
    if (uids.count > 0) journal_append(&scan->entries, &entry, &uids);
    uid_set_free(&uids);
}

/* Dates are noted only if a later look can trust them, where it could not trust those that are noted: within a step of
 * the clock after a change it could not, and nothing is written that would wake whoever watches the journal. */
static void note_dates(struct scan *scan, const struct folder_date *cur, const struct folder_date *new_date) {
    const struct folder_header *header = &scan->folder->state.header;
    struct journal_entry dates = {.type = JOURNAL_DATES,
                                  .cur = scan->read_cur ? *cur : scan->folder->state.header.cur,
                                  .new = *new_date,
                                  .read_whole = scan->folder->state.header.read_whole};
    if (scan->read_cur) dates.read_whole = cur->read_at / CLOCK_SECOND;
    bool helps = header->cur.read_at == 0 || (scan->read_cur && folder_date_holds(cur, cur)) ||
                 (folder_date_holds(new_date, new_date) && !folder_date_holds(&header->new, new_date));
    if (helps) say(scan, &dates, NULL);
}

/* Whether the whole folder is new to us, and large. Files that settling would rename (new mail, names that we would
 * not write) are renamed before they are in a snapshot: with many of them that would hold the first look up. */
static bool is_first_look(const struct scan *scan) {
    return folder_state_slots(&scan->folder->state) == 0 && scan->newcomers.count >= WRITTEN_AT_ONCE &&
           newcomers_to_rename(&scan->newcomers) == 0;
}

/* The messages are in the state, and nowhere else: they are written, or forgotten again. */
static enum store_result write_at_once(struct scan *scan, struct failure *failure) {
    struct folder *folder = scan->folder;
    struct failure ignored = {0};
    bool good = folder_snapshot_write(folder->directory, &folder->state, failure);
    enum store_result result = good ? STORE_OK : store_trouble(failure);
    if (!folder_reload(folder, good ? failure : &ignored)) {
        folder->renewed = true; /* whoever sees this view must leave it */
        if (good) result = store_trouble(failure);
    }
    return result;
}

static enum store_result run(struct scan *scan, struct failure *failure) {
    struct folder *folder = scan->folder;
    struct folder_date cur = {0}, new_date = {0};
    scan->now = clock_date() / CLOCK_SECOND;
    if (!folder_dates(folder, &cur, &new_date, failure)) return STORE_BROKEN;
    scan->read_cur = folder->read_all || !folder_date_holds(&folder->state.header.cur, &cur);
    folder->read_all = false;
    fill_table(scan);
    if (!read_directories(scan, false) || !expunge_missing(scan)) return STORE_BROKEN;
    scan->at_once = is_first_look(scan);
    add_new(scan);
    note_removed(scan);
    note_dates(scan, &cur, &new_date);
    if (scan->at_once) return write_at_once(scan, failure);
    /* UIDs are on disk before anybody is told them. */
    return folder_append(folder, &scan->entries, scan->newcomers.count > 0 ? APPEND_SYNCED : 0, failure);
}

enum store_result folder_scan(struct folder *folder, struct failure *failure) {
    struct scan scan = {.folder = folder, .newcomers = {.arena = arena_create(0)}, .failure = failure};
    struct folder_import import = {0};
    enum store_result result = STORE_OK;
    /* The first reading ever: UIDs that another program gave stay, if its UIDVALIDITY did. */
    if (folder->state.header.cur.read_at == 0) {
        if (!folder_import_read(folder->directory, &import, failure)) result = STORE_BROKEN;
        if (import.found && import.uid_validity == folder->state.header.uid_validity) scan.newcomers.import = &import;
    }
    if (result == STORE_OK) result = run(&scan, failure);
    folder_import_free(&import);
    buf_free(&scan.entries);
    slot_set_free(&scan.seen);
    slot_list_free(&scan.removed);
    newcomers_free(&scan.newcomers);
    slot_table_free(&scan.table);
    return result;
}

enum store_result folder_read_stale(struct folder *folder, struct failure *failure) {
    if (!folder_is_stale(folder)) return STORE_OK;
    if (!folder_lock(folder, failure)) return store_trouble(failure);
    enum store_result result = folder_scan(folder, failure);
    folder_unlock(folder);
    return result;
}

enum store_result folder_read_again(struct folder *folder, struct failure *failure) {
    if (!folder_lock(folder, failure)) return store_trouble(failure);
    folder->read_all = true;
    enum store_result result = folder_scan(folder, failure);
    folder_unlock(folder);
    return result;
}
