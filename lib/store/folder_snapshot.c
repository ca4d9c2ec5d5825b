/* See folder_snapshot.h. */
#include "folder_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#define NEW_FILE      FOLDER_FILE ".new"
#define EXPUNGED_KEPT 100000 /* rows of expunged UIDs that are remembered for QRESYNC */
#define WRITE_PIECE   262144

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
        if (written <= 0)
            writer->good = failure_set_errno(writer->failure, errno ? errno : ENOSPC, "cannot write tern-mailbox");
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
static void choose_expunged(const struct folder_state *state, struct folder_header *header, uint64_t *old_from,
                            size_t *new_from) {
    uint64_t old = state->header.expunged_count, total = old + state->expunged_count;
    uint64_t drop = total > EXPUNGED_KEPT ? total - EXPUNGED_KEPT : 0;
    *old_from = drop < old ? drop : old;
    *new_from = (size_t)(drop - *old_from);
    header->expunged_count = total - drop;
    if (drop == 0) return;
    if (*new_from > 0) {
        header->expunged_floor = state->expunged[*new_from - 1].modseq;
    } else {
        struct uid_range ignored;
        folder_state_expunged_row(state, *old_from - 1, &ignored, &header->expunged_floor);
    }
}

static void put_expunged_rows(struct snapshot_writer *writer, const struct folder_state *state, uint64_t old_from,
                              size_t new_from) {
    uint64_t old = state->header.expunged_count - old_from;
    put(writer, state->map + folder_expunged_offset(&state->header) + old_from * FOLDER_EXPUNGED_SIZE,
        old * FOLDER_EXPUNGED_SIZE);
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
    if (writer->good && fsync(writer->file) < 0)
        writer->good = failure_set_errno(writer->failure, errno, "cannot sync tern-mailbox");
    close(writer->file);
    buf_free(&writer->pending);
    if (writer->good && renameat(directory, NEW_FILE, directory, FOLDER_FILE) < 0)
        writer->good = failure_set_errno(writer->failure, errno, "cannot rename tern-mailbox");
    if (!writer->good) {
        unlinkat(directory, NEW_FILE, 0);
        return false;
    }
    return fsync(directory) == 0 || failure_set_errno(writer->failure, errno, "cannot sync the folder");
}

static bool begin(int directory, const struct folder_header *header, struct snapshot_writer *writer,
                  struct failure *failure) {
    uint8_t bytes[FOLDER_HEADER_SIZE];
    *writer = (struct snapshot_writer){.failure = failure, .good = true, .pending = buf_make(0)};
    writer->file = openat(directory, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writer->file < 0) return failure_set_errno(failure, errno, "cannot make tern-mailbox");
    folder_header_encode(header, bytes);
    put(writer, bytes, sizeof bytes);
    return true;
}

bool folder_snapshot_write(int directory, const struct folder_state *state, struct failure *failure) {
    struct folder_header header = state->header;
    struct snapshot_writer writer;
    uint64_t old_from;
    size_t new_from;
    unsigned keywords = folder_state_keyword_count(state);
    header.keywords_length = header.names_length = header.count = 0;
    header.first_unseen = UINT32_MAX;
    for (unsigned bit = 0; bit < keywords; bit++)
        header.keywords_length += state->keywords[bit].length + 1;
    choose_expunged(state, &header, &old_from, &new_from);
    walk_names(state, NULL, &header);
    if (header.first_unseen == UINT32_MAX) header.first_unseen = header.count;
    if (!begin(directory, &header, &writer, failure)) return false;
    put_keywords(&writer, state->keywords, keywords);
    put_expunged_rows(&writer, state, old_from, new_from);
    walk_names(state, &writer, &header);
    put_records(state, &writer);
    return publish(directory, &writer);
}

bool folder_snapshot_first(int directory, const struct folder_import *import, uint32_t uid_validity,
                           struct failure *failure) {
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
