/* See folder_message.h. */
#include "folder_message.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "file_count.h"
#include "folder_journal.h"
#include "folder_name.h"
#include "folder_state_load.h"
#include "store_root.h"

/* ---- the file */

void folder_file_name(const struct folder *folder, uint32_t sequence, struct buf *name) {
    struct folder_record record;
    folder_state_get(&folder->state, folder_slot(folder, sequence), &record);
    buf_append(name, folder_name_base(record.name));
}

void folder_file_path(const struct folder *folder, uint32_t sequence, struct buf *path) {
    struct folder_record record;
    folder_state_get(&folder->state, folder_slot(folder, sequence), &record);
    folder_record_path(&record, path);
}

/* Opens the file that a record names; -1 with errno. */
static int open_record(const struct folder *folder, const struct folder_record *record, void *context) {
    struct buf path = buf_make(0);
    (void)context;
    folder_record_path(record, &path);
    /* What is no file, but has come into the place of one, does not hold us up. */
    int file = openat(folder->directory, buf_string(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int error_number = errno;
    buf_free(&path);
    errno = error_number;
    return file;
}

/* What is tried with a message's file: -1 with errno. */
typedef int file_function(const struct folder *folder, const struct folder_record *record, void *context);

/* Tries it where the record says; where it is not: then where the journal says (another session of ours has changed the
 * name), then where the directories do (another program has). Less than 0: *result. */
static int with_file(struct folder *folder, uint32_t sequence, file_function *function, void *context,
                     enum store_result *result, struct failure *failure) {
    uint32_t uid = folder_uid(folder, sequence);
    struct state_watcher watcher = folder_watcher(folder);
    for (int attempt = 0; attempt < 3; attempt++) {
        struct folder_record record;
        uint32_t slot = folder_state_find(&folder->state, uid);
        if (slot == UINT32_MAX || slot_set_has(&folder->state.gone, slot)) break;
        folder_state_get(&folder->state, slot, &record);
        int done = function(folder, &record, context);
        if (done >= 0) return done;
        if (errno != ENOENT) {
            failure_set_errno(failure, errno, "cannot open a message");
            *result = STORE_BROKEN;
            return -1;
        }
        *result = attempt > 0                                            ? folder_read_again(folder, failure)
                  : folder_state_read(&folder->state, &watcher, failure) ? STORE_OK
                                                                         : STORE_BROKEN;
        if (*result != STORE_OK) return -1;
    }
    *result = STORE_MISSING;
    failure_set(failure, "the message is gone");
    return -1;
}

int folder_message_file(struct folder *folder, uint32_t sequence, enum store_result *result, struct failure *failure) {
    return with_file(folder, sequence, open_record, NULL, result, failure);
}

/* ---- what a look at it says */

static int look_at_record(const struct folder *folder, const struct folder_record *record, void *context) {
    struct buf path = buf_make(0);
    folder_record_path(record, &path);
    int done = fstatat(folder->directory, buf_string(&path), context, AT_SYMLINK_NOFOLLOW);
    int error_number = errno;
    buf_free(&path);
    errno = error_number;
    return done;
}

void folder_note_look(struct folder *folder, uint32_t uid, int64_t date, uint64_t size) {
    uint32_t slot = folder_state_find(&folder->state, uid);
    if (slot == UINT32_MAX) return;
    folder_state_learn(&folder->state, slot, date, size);
    journal_append_look(&folder->looks, uid, date, size);
}

/* Looks at the file for what is unknown of the message. Looks for a file that is called otherwise by now as
 * folder_message_file does; of one that is gone the date is that in its name, and the size 0. */
static void look(struct folder *folder, uint32_t sequence, struct folder_message *message) {
    enum store_result result;
    struct failure ignored = {0};
    struct folder_record record;
    struct stat status;
    bool date_unknown = message->internal_date == FOLDER_DATE_UNKNOWN;
    folder_state_get(&folder->state, folder_slot(folder, sequence), &record);
    int64_t named = folder_name_date(record.name) / CLOCK_SECOND; /* what it borrows may be gone later */
    if (with_file(folder, sequence, look_at_record, &status, &result, &ignored) < 0) {
        if (date_unknown) message->internal_date = named;
        if (message->size == FOLDER_SIZE_UNKNOWN) message->size = 0;
        return;
    }
    if (date_unknown) message->internal_date = status.st_mtim.tv_sec; /* else it stays as it was told */
    message->size = (uint64_t)status.st_size;
    folder_note_look(folder, message->uid, message->internal_date, message->size);
}

/* What is asked for the first time becomes part of what is known: no change to anyone. */
void folder_message(const struct folder *folder, uint32_t sequence, struct folder_message *message) {
    folder_message_known(folder, sequence, message);
    if (message->internal_date != FOLDER_DATE_UNKNOWN && message->size != FOLDER_SIZE_UNKNOWN) return;
    look((struct folder *)(uintptr_t)folder, sequence, message);
}

/* ---- remembering */

/* Remembered without a word to the disk: it can be had again. */
static void remember(struct folder *folder, enum journal_type type, struct buf *rows) {
    struct failure ignored = {0};
    struct buf entries = buf_make(0);
    struct journal_entry entry = {.type = type, .rows = buf_str(rows)};
    if (rows->length > 0 && folder_lock(folder, &ignored)) {
        journal_append(&entries, &entry, NULL);
        if (folder_append(folder, &entries, APPEND_OWN, &ignored) == STORE_OK) folder->learnt += rows->length;
        folder_unlock(folder);
    }
    buf_free(&entries);
    buf_clear(rows);
}

void folder_remember(struct folder *folder) {
    remember(folder, JOURNAL_SIZES, &folder->counted);
    remember(folder, JOURNAL_LOOKS, &folder->looks);
}

/* ---- sizes */

/* Counts one message; an empty file counts as one octet, as 0 stands for "not counted". */
static bool count_message(struct folder *folder, uint32_t sequence, const struct folder_message *message,
                          uint64_t *size, struct failure *failure) {
    enum store_result result;
    struct stat status;
    int file = folder_message_file(folder, sequence, &result, failure);
    if (file < 0) return false;
    bool good = fstat(file, &status) == 0 || failure_set_errno(failure, errno, "cannot look at a message");
    if (good && message->size == FOLDER_SIZE_UNKNOWN)
        folder_note_look(folder, message->uid,
                         message->internal_date == FOLDER_DATE_UNKNOWN ? status.st_mtim.tv_sec : message->internal_date,
                         (uint64_t)status.st_size);
    if (good && !file_count(file, (uint64_t)status.st_size, size))
        good = failure_set_errno(failure, errno, "cannot read a message");
    close(file);
    return good;
}

void folder_note_virtual_size(struct folder *folder, uint32_t uid, uint64_t size) {
    if (size > 0) journal_append_size(&folder->counted, uid, size);
    if (folder->counted.length > 65536) remember(folder, JOURNAL_SIZES, &folder->counted);
}

bool folder_virtual_size(struct folder *folder, uint32_t sequence, uint64_t *size, struct failure *failure) {
    struct folder_message message;
    folder_message_known(folder, sequence, &message);
    if (message.virtual_size > 0) {
        *size = message.virtual_size;
        return true;
    }
    uint64_t counted = 0;
    if (!count_message(folder, sequence, &message, &counted, failure)) return false;
    folder_note_virtual_size(folder, message.uid, counted);
    *size = counted;
    return true;
}

/* ---- all of them */

void folder_size_all(struct folder *folder) {
    uint32_t count = folder_count(folder);
    for (uint32_t sequence = 1; sequence <= count; sequence++) {
        struct folder_message message;
        folder_message_known(folder, sequence, &message);
        if (message.size == FOLDER_SIZE_UNKNOWN) look(folder, sequence, &message);
    }
    folder_remember(folder);
}
