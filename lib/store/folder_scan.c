/* Reading a folder's directories: what other programs have put there, renamed or removed.
 *
 * Needed only when a directory's date says so. What differs from what tern knows is written to the journal
 * as if a client had done it: new messages get UIDs (in the order of the dates in their names), changed names
 * change flags, missing files are expunged. A file that is seen to be missing is looked for a second time: a program
 * that renames it meanwhile may have hidden it from one reading.
 *
 * A file is looked at only if the directory does not say that it is one: its date, and its size where the name does not
 * say it, are had when somebody asks for them. What a large folder has when it is read for the first time goes into a
 * new tern-mailbox at once, not by way of the journal. */
#include "folder_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "clock.h"

#define WRITTEN_AT_ONCE    1000 /* messages of a first reading from which on they do not go by way of the journal */
#define READ_WHOLE_SECONDS 3600 /* cur/ is read at opening if we alone have changed it for so long */

bool folder_is_stale(const struct folder *folder) {
    struct folder_date cur = {0}, new_date = {0};
    struct failure ignored = {0};
    if (folder->read_all || !folder_dates(folder, &cur, &new_date, &ignored)) return true;
    return !folder_date_holds(&folder->state.header.cur, &cur) || !folder_date_holds(&folder->state.header.new, &new_date);
}

void folder_plan_reading(struct folder *folder) {
    const struct folder_header *header = &folder->state.header;
    int64_t now = clock_date() / CLOCK_SECOND;
    bool changed_by_us = header->cur.seconds > header->read_whole;
    folder->read_all = changed_by_us && (now - header->read_whole > READ_WHOLE_SECONDS || now < header->read_whole);
}

/* ---- slots by base name */

struct name_table {
    uint32_t *slots; /* slot + 1; 0: free */
    size_t mask;
};

static void table_add(struct name_table *table, struct str base, uint32_t slot) {
    size_t at = crc32c(0, base.data, base.length) & table->mask;
    while (table->slots[at])
        at = (at + 1) & table->mask;
    table->slots[at] = slot + 1;
}

static uint32_t table_find(const struct name_table *table, const struct folder_state *state, struct str base) {
    struct folder_record record;
    if (folder_state_slots(state) == 0) return UINT32_MAX;
    for (size_t at = crc32c(0, base.data, base.length) & table->mask; table->slots[at]; at = (at + 1) & table->mask) {
        folder_state_get(state, table->slots[at] - 1, &record);
        if (str_equal(folder_name_base(record.name), base)) return table->slots[at] - 1;
    }
    return UINT32_MAX;
}

/* ---- a scan */

struct candidate {
    struct str name; /* base, or base NUL info */
    uint32_t uid;    /* from an import; else UINT32_MAX */
    int64_t date;
    uint8_t base;         /* length of the name's base */
    uint8_t place, flags; /* flags: of the name */
    uint8_t system;       /* those, and what is a flag here and a keyword elsewhere */
    uint64_t keywords;
    uint64_t size, virtual_size; /* as the name says them; 0: it does not */
    bool regular;                /* the directory says that it is a file */
};

struct scan {
    struct folder *folder;
    struct arena *arena;
    bool read_cur;
    struct name_table table;
    struct slot_set seen;
    struct candidate *candidates;
    size_t candidate_count, candidate_room;
    struct slot_list removed; /* files of expunged messages, unlinked now */
    struct buf entries;
    uint64_t modseq; /* of all that this scan changes; taken when first needed */
    const struct folder_import *import;
    int64_t now;  /* seconds: the save date of what is met */
    bool at_once; /* the first reading of a large folder: entries are applied here, and the file is written anew */
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
    size_t room = 64;
    while (room < (size_t)slots * 2)
        room *= 2;
    scan->table.slots = memory_allocate(room, sizeof *scan->table.slots);
    scan->table.mask = room - 1;
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct folder_record record;
        folder_state_get(state, slot, &record);
        if (is_expected(scan, slot, &record)) table_add(&scan->table, folder_name_base(record.name), slot);
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

/* The journal can say which flags a name has, but not one that we would not write: it is given the name that we would. */
static void mend_name(struct scan *scan, int directory, const char *file_name, struct str base, uint8_t place, uint8_t flags) {
    struct buf name = buf_make(0);
    buf_append(&name, base);
    if (place == PLACE_CUR) folder_info_format(flags, &name);
    if (!str_equal(buf_str(&name), str_from(file_name)) &&
        renameat2(directory, file_name, directory, buf_string(&name), RENAME_NOREPLACE) < 0)
        scan->folder->read_all = true;
    buf_free(&name);
}

/* A file of a message that we know: has another program given it another name? */
static void meet_known(struct scan *scan, uint32_t slot, uint8_t place, struct str info, int directory, const char *file_name) {
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

static void import_keywords(const struct folder_import *import, struct str info, struct candidate *candidate) {
    for (size_t i = 3; str_starts(info, STR(":2,")) && i < info.length; i++) {
        unsigned letter = (unsigned)(unsigned char)info.data[i] - 'a';
        if (letter >= ARRAY_LENGTH(import->keywords) || import->keywords[letter].length == 0) continue;
        if (str_equal_nocase(import->keywords[letter], STR("$Forwarded"))) /* Maildir's P here */
            candidate->system |= FLAG_FORWARDED;
        else
            candidate->keywords |= (uint64_t)1 << letter;
    }
}

/* The name as a record has it: with what follows the base only if we would not write that. */
static bool keep_name(struct scan *scan, struct str base, struct str info, bool odd, struct str *kept) {
    if (!odd) return arena_copy(scan->arena, base, kept);
    struct buf name = buf_make(FOLDER_NAME_MAX);
    buf_append(&name, base);
    buf_append_char(&name, '\0');
    buf_append(&name, info);
    bool good = !buf_overflowed(&name) && arena_copy(scan->arena, buf_str(&name), kept);
    buf_free(&name);
    return good;
}

static void add_candidate(struct scan *scan, struct str base, struct str info, uint8_t place, bool regular) {
    struct candidate candidate = {.place = place,
                                  .base = (uint8_t)base.length,
                                  .uid = UINT32_MAX,
                                  .date = folder_name_date(base),
                                  .regular = regular};
    bool canonical;
    folder_info_parse(info, &candidate.flags, &canonical);
    candidate.system = candidate.flags;
    folder_name_sizes(base, &candidate.size, &candidate.virtual_size); /* now, while it is in the processor's cache */
    if (scan->import) {
        void *uid = map_get(scan->import->uids, base);
        if (uid) candidate.uid = (uint32_t)(uintptr_t)uid;
        import_keywords(scan->import, info, &candidate);
    }
    if (!keep_name(scan, base, info, place == PLACE_NEW ? info.length > 0 : !canonical, &candidate.name)) return;
    if (scan->candidate_count == scan->candidate_room) {
        scan->candidate_room = scan->candidate_room ? scan->candidate_room * 2 : 64;
        scan->candidates = memory_resize(scan->candidates, scan->candidate_room, sizeof *scan->candidates);
    }
    scan->candidates[scan->candidate_count++] = candidate;
}

static void meet(struct scan *scan, const struct dirent *entry, uint8_t place, int directory, bool again) {
    struct str base, info;
    const char *file_name = entry->d_name;
    if (!folder_name_split(str_from(file_name), &base, &info)) return;
    uint32_t slot = table_find(&scan->table, &scan->folder->state, base);
    if (slot == UINT32_MAX) {
        if (!again) add_candidate(scan, base, info, place, entry->d_type == DT_REG);
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
    return read_directory(scan, "new", PLACE_NEW, again) && (!scan->read_cur || read_directory(scan, "cur", PLACE_CUR, again));
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
            if (slot_set_has(&scan->seen, slot)) uid_set_remove(removed, folder_state_uid(state, slot), folder_state_uid(state, slot));
    }
}

/* Moved to cur/ perhaps, by a program that reads mail there, or renamed while we read. */
static bool read_again(struct scan *scan) {
    if (!scan->read_cur) {
        scan->read_cur = true; /* all messages are expected now */
        MEMORY_FREE(scan->table.slots);
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

/* What candidates are sorted by; the names are looked at only if they must be. */
struct candidate_key {
    int64_t date;
    uint32_t uid;
    const struct candidate *candidate;
};

static int compare_keys(const void *a, const void *b) {
    const struct candidate_key *first = a, *second = b;
    if (first->uid != second->uid) return first->uid < second->uid ? -1 : 1;
    if (first->date != second->date) return first->date < second->date ? -1 : 1;
    return str_compare(first->candidate->name, second->candidate->name);
}

/* In the order in which they get UIDs. */
static struct candidate_key *sort_candidates(const struct scan *scan) {
    struct candidate_key *keys = memory_allocate(scan->candidate_count + 1, sizeof *keys);
    for (size_t i = 0; i < scan->candidate_count; i++)
        keys[i] = (struct candidate_key){scan->candidates[i].date, scan->candidates[i].uid, &scan->candidates[i]};
    if (scan->candidate_count > 1) qsort(keys, scan->candidate_count, sizeof *keys, compare_keys);
    return keys;
}

/* The file itself. False: it is not there any more, or no file. */
static bool look_at(const struct scan *scan, struct folder_record *record) {
    struct buf path = buf_make(0);
    struct stat status;
    folder_record_path(record, &path);
    bool good = fstatat(scan->folder->directory, buf_string(&path), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(status.st_mode);
    buf_free(&path);
    if (!good) return false;
    record->size = (uint64_t)status.st_size;
    record->internal_date = status.st_mtim.tv_sec;
    return true;
}

/* What the name says, and the file where that is not enough. */
static bool fill_record(const struct scan *scan, const struct candidate *candidate, bool alone,
                        struct folder_record *record) {
    *record = (struct folder_record){.system = candidate->system,
                                     .name_flags = candidate->flags,
                                     .place = candidate->place,
                                     .keywords = candidate->keywords,
                                     .internal_date = FOLDER_DATE_UNKNOWN,
                                     .save_date = scan->now,
                                     .size = candidate->size,
                                     .virtual_size = candidate->virtual_size,
                                     .name = candidate->name};
    if (record->size == 0 && record->virtual_size == 0) record->size = FOLDER_SIZE_UNKNOWN;
    return (candidate->regular && alone && record->size > 0) || look_at(scan, record);
}

/* Whether two candidates are one message: it was moved while we read, or somebody has copied it under its name. */
static bool are_same(const struct candidate_key *first, const struct candidate_key *second) {
    const struct candidate *one = first->candidate, *other = second->candidate;
    return first->date == second->date && first->uid == second->uid && one->base == other->base &&
           memcmp(one->name.data, other->name.data, one->base) == 0;
}

static void add_new(struct scan *scan) {
    uint32_t next = scan->folder->state.header.uid_next;
    bool added = false;
    struct candidate_key *keys = sort_candidates(scan);
    for (size_t i = 0; i < scan->candidate_count; i++) {
        struct journal_entry entry = {.type = JOURNAL_ADD};
        const struct candidate *candidate = keys[i].candidate;
        bool first = i == 0 || !are_same(&keys[i], &keys[i - 1]);
        bool last = i + 1 == scan->candidate_count || !are_same(&keys[i], &keys[i + 1]);
        if (!first && added) continue;
        added = false;
        /* What the import does not list is newer than all that it ever has listed. */
        if (scan->import && candidate->uid == UINT32_MAX && scan->import->uid_next > next) next = scan->import->uid_next;
        if (next == UINT32_MAX || !fill_record(scan, candidate, first && last, &entry.record)) continue;
        entry.record.uid = candidate->uid != UINT32_MAX && candidate->uid >= next ? candidate->uid : next;
        entry.record.modseq = scan_modseq(scan);
        next = entry.record.uid + 1;
        added = true;
        say(scan, &entry, NULL);
    }
    MEMORY_FREE(keys);
    if (scan->import && scan->import->uid_next > next) {
        struct journal_entry numbers = {.type = JOURNAL_NUMBERS, .uid_next = scan->import->uid_next};
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
    size_t renamed = 0;
    if (folder_state_slots(&scan->folder->state) > 0 || scan->candidate_count < WRITTEN_AT_ONCE) return false;
    for (size_t i = 0; i < scan->candidate_count; i++) {
        const struct candidate *candidate = &scan->candidates[i];
        renamed += candidate->place == PLACE_NEW || candidate->system != candidate->flags ||
                   candidate->name.length != candidate->base;
    }
    return renamed == 0;
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
    return folder_append(folder, &scan->entries, scan->candidate_count > 0 ? APPEND_SYNCED : 0, failure);
}

enum store_result folder_scan(struct folder *folder, struct failure *failure) {
    struct scan scan = {.folder = folder, .arena = arena_create(0), .failure = failure};
    struct folder_import import = {0};
    enum store_result result = STORE_OK;
    /* The first reading ever: UIDs that another program gave stay, if its UIDVALIDITY did. */
    if (folder->state.header.cur.read_at == 0) {
        if (!folder_import_read(folder->directory, &import, failure)) result = STORE_BROKEN;
        if (import.found && import.uid_validity == folder->state.header.uid_validity) scan.import = &import;
    }
    if (result == STORE_OK) result = run(&scan, failure);
    folder_import_free(&import);
    buf_free(&scan.entries);
    slot_set_free(&scan.seen);
    slot_list_free(&scan.removed);
    MEMORY_FREE(scan.candidates);
    MEMORY_FREE(scan.table.slots);
    arena_destroy(&scan.arena);
    return result;
}

enum store_result folder_read_again(struct folder *folder, struct failure *failure) {
    if (!folder_lock(folder, failure)) return store_trouble(failure);
    folder->read_all = true;
    enum store_result result = folder_scan(folder, failure);
    folder_unlock(folder);
    return result;
}
