/* What can be put off: flags into file names, the journal to the disk, the snapshot anew. */
#include "folder_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#define JOURNAL_SMALL  65536   /* octets of journal that are no reason to write the snapshot anew */
#define JOURNAL_SHARE  8       /* ... nor is this part of the file */
#define LEARNT_SHARE   32      /* ... but sizes and dates that were asked for are learnt only once */
#define EXPUNGED_KEPT  100000  /* rows of expunged UIDs that are remembered for QRESYNC */
#define NAME_FLAGS     ((unsigned)(FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT | FLAG_FORWARDED))
#define WRITE_PIECE    262144

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
    size_t end = str_find(record.name, '\0');
    if (end != STR_NONE) record.name.length = end;
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
    for (uint32_t slot = 0; slot < state->base; slot++) {
        if (!state->pages[slot / 256])
            slot |= 255;
        else
            name_slot(naming, slot);
    }
    for (uint32_t slot = state->base; slot < folder_state_slots(state); slot++)
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

/* ---- writing a snapshot */

struct snapshot_writer {
    int file;
    struct buf pending;
    struct failure *failure;
    bool good;
};

static void flush(struct snapshot_writer *writer) {
    for (size_t done = 0; writer->good && done < writer->pending.length;) {
        ssize_t written = write(writer->file, writer->pending.data + done, writer->pending.length - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) writer->good = failure_set_errno(writer->failure, errno ? errno : ENOSPC, "cannot write tern-mailbox");
        if (written > 0) done += (size_t)written;
    }
    buf_clear(&writer->pending);
}

static void put(struct snapshot_writer *writer, const void *bytes, size_t length) {
    buf_append_bytes(&writer->pending, bytes, length);
    if (writer->pending.length >= WRITE_PIECE) flush(writer);
}

static void put_keywords(struct snapshot_writer *writer, const struct str *keywords, unsigned count) {
    for (unsigned bit = 0; bit < count; bit++) {
        put(writer, keywords[bit].data, keywords[bit].length);
        put(writer, "", 1);
    }
}

static void put_expunged(struct snapshot_writer *writer, uint32_t first, uint32_t last, uint64_t modseq) {
    uint32_t range[2] = {htole32(first), htole32(last)};
    modseq = htole64(modseq);
    put(writer, range, sizeof range);
    put(writer, &modseq, sizeof modseq);
}

/* The newest rows of both lists; what is dropped raises the floor. */
static void choose_expunged(const struct folder_state *state, struct folder_header *header, uint64_t *old_from, size_t *new_from) {
    uint64_t old = state->header.expunged_count, total = old + state->expunged_count;
    uint64_t drop = total > EXPUNGED_KEPT ? total - EXPUNGED_KEPT : 0;
    *old_from = drop < old ? drop : old;
    *new_from = (size_t)(drop - *old_from);
    header->expunged_count = total - drop;
    if (drop == 0) return;
    if (*new_from > 0) {
        header->expunged_floor = state->expunged[*new_from - 1].modseq;
    } else {
        const uint8_t *row = state->map + folder_expunged_offset(&state->header) + (*old_from - 1) * FOLDER_EXPUNGED_SIZE;
        uint64_t modseq;
        memcpy(&modseq, row + 8, sizeof modseq);
        header->expunged_floor = le64toh(modseq);
    }
}

static void put_expunged_rows(struct snapshot_writer *writer, const struct folder_state *state, uint64_t old_from, size_t new_from) {
    uint64_t old = state->header.expunged_count - old_from;
    put(writer, state->map + folder_expunged_offset(&state->header) + old_from * FOLDER_EXPUNGED_SIZE, old * FOLDER_EXPUNGED_SIZE);
    for (size_t i = new_from; i < state->expunged_count; i++)
        put_expunged(writer, state->expunged[i].first, state->expunged[i].last, state->expunged[i].modseq);
}

/* Walks the live messages; with writer NULL it only measures. */
static void walk_names(const struct folder_state *state, struct snapshot_writer *writer, struct folder_header *header) {
    for (uint32_t slot = 0; slot < folder_state_slots(state); slot++) {
        struct folder_record record;
        if (slot_set_has(&state->gone, slot)) continue;
        folder_state_get(state, slot, &record);
        if (writer) {
            put(writer, record.name.data, record.name.length);
            continue;
        }
        if (header->first_unseen == UINT32_MAX && !(record.system & FLAG_SEEN)) header->first_unseen = header->count;
        header->count++;
        header->names_length += record.name.length;
    }
}

static void put_records(const struct folder_state *state, struct snapshot_writer *writer) {
    uint64_t offset = 0;
    for (uint32_t slot = 0; slot < folder_state_slots(state); slot++) {
        struct folder_record record;
        uint8_t bytes[FOLDER_RECORD_SIZE];
        if (slot_set_has(&state->gone, slot)) continue;
        folder_state_get(state, slot, &record);
        folder_record_encode(&record, offset, bytes);
        put(writer, bytes, sizeof bytes);
        offset += record.name.length;
    }
}

/* Synced, then renamed into its place, then the folder synced. */
static bool publish(int directory, struct snapshot_writer *writer) {
    flush(writer);
    if (writer->good && fsync(writer->file) < 0) writer->good = failure_set_errno(writer->failure, errno, "cannot sync tern-mailbox");
    close(writer->file);
    buf_free(&writer->pending);
    if (writer->good && renameat(directory, FOLDER_NEW_FILE, directory, FOLDER_FILE) < 0)
        writer->good = failure_set_errno(writer->failure, errno, "cannot rename tern-mailbox");
    if (!writer->good) {
        unlinkat(directory, FOLDER_NEW_FILE, 0);
        return false;
    }
    return fsync(directory) == 0 || failure_set_errno(writer->failure, errno, "cannot sync the folder");
}

static bool begin(int directory, const struct folder_header *header, struct snapshot_writer *writer, struct failure *failure) {
    uint8_t bytes[FOLDER_HEADER_SIZE];
    *writer = (struct snapshot_writer){.failure = failure, .good = true, .pending = buf_make(0)};
    writer->file = openat(directory, FOLDER_NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writer->file < 0) return failure_set_errno(failure, errno, "cannot make tern-mailbox");
    folder_header_encode(header, bytes);
    put(writer, bytes, sizeof bytes);
    return true;
}

bool folder_compact(struct folder *folder, struct failure *failure) {
    const struct folder_state *state = &folder->state;
    struct folder_header header = state->header;
    struct snapshot_writer writer;
    uint64_t old_from;
    size_t new_from;
    unsigned keywords = folder_keyword_count(folder);
    header.keywords_length = header.names_length = header.count = 0;
    header.first_unseen = UINT32_MAX;
    for (unsigned bit = 0; bit < keywords; bit++)
        header.keywords_length += state->keywords[bit].length + 1;
    choose_expunged(state, &header, &old_from, &new_from);
    walk_names(state, NULL, &header);
    if (header.first_unseen == UINT32_MAX) header.first_unseen = header.count;
    if (!begin(folder->directory, &header, &writer, failure)) return false;
    put_keywords(&writer, state->keywords, keywords);
    put_expunged_rows(&writer, state, old_from, new_from);
    walk_names(state, &writer, &header);
    put_records(state, &writer);
    return publish(folder->directory, &writer);
}

bool folder_make_file(int directory, const struct folder_import *import, uint32_t uid_validity, struct failure *failure) {
    struct folder_header header = {.uid_next = 1, .recent_from = 1, .highest_modseq = 1};
    struct snapshot_writer writer;
    struct str keywords[ARRAY_LENGTH(import->keywords)];
    unsigned count = 0;
    header.uid_validity = import ? import->uid_validity : uid_validity;
    if (import && import->has_id)
        memcpy(header.id, import->id, sizeof header.id);
    else if (getrandom(header.id, sizeof header.id, 0) != (ssize_t)sizeof header.id)
        return failure_set(failure, "no random numbers");
    for (unsigned bit = 0; import && bit < ARRAY_LENGTH(keywords); bit++) {
        bool is_flag = str_equal_nocase(import->keywords[bit], STR("$Forwarded"));
        keywords[bit] = import->keywords[bit].length && !is_flag ? import->keywords[bit] : STR_EMPTY;
        header.keywords_length += keywords[bit].length + 1;
        count = bit + 1;
    }
    if (!begin(directory, &header, &writer, failure)) return false;
    put_keywords(&writer, keywords, count);
    return publish(directory, &writer);
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
    if (good && compact) good = folder_compact(folder, failure) && folder_reload(folder, failure);
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
