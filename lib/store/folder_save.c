/* Saving messages: APPEND and delivery.
 *
 *   tmp/NAME       written, and synced: of several messages one after the other while the rest is being written
 *   cur/NAME:2,…   by rename, under the folder's lock (new/NAME for new mail)
 *   cur/           synced
 *   the journal    UIDs, synced: only then is anything said
 *
 * A crash on the way leaves files in tmp/, or messages that nobody was promised: they are met by the next scan. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "folder_journal.h"
#include "folder_name.h"
#include "folder_saved.h"
#include "folder_target.h"
#include "store_root.h"

#define SAVE_PIECE   65536
#define SAVE_AT_ONCE 10000 /* messages of one saving */
#define UNSYNCED_MAX 32    /* files that are open until they are synced together */

/* ---- what is being saved */

struct folder_saving {
    struct store *store;
    struct folder *target;
    struct arena *arena;
    struct saved *messages;
    size_t count, room;
    int file;      /* of the last message while it is written; -1 */
    size_t synced; /* so many of the messages are */
    struct buf pending;
    bool held_cr;
    char last;                 /* octet that was stored; NUL: none yet */
    uint64_t size, line_feeds; /* line_feeds: those that IMAP shows with a CR that is not in the file */
    bool delivery;
};

struct folder_saving *folder_save_begin(struct store *store, struct str name, enum store_result *result,
                                        struct failure *failure) {
    struct folder *target = folder_take_target(store, name, result, failure);
    if (!target) return NULL;
    struct folder_saving *saving = MEMORY_NEW(struct folder_saving);
    saving->store = store;
    saving->target = target;
    saving->arena = arena_create(0);
    saving->file = -1;
    return saving;
}

void folder_save_is_delivery(struct folder_saving *saving) {
    saving->delivery = true;
}

static void free_saving(struct folder_saving **saving) {
    struct folder_saving *gone = *saving;
    if (gone->file >= 0) close(gone->file);
    for (size_t i = 0; i < gone->count; i++) {
        if (gone->messages[i].file >= 0) close(gone->messages[i].file);
        MEMORY_FREE(gone->messages[i].name);
    }
    MEMORY_FREE(gone->messages);
    buf_free(&gone->pending);
    arena_destroy(&gone->arena);
    folder_close(&gone->target);
    MEMORY_FREE(*saving);
}

/* Removes whatever is there of the messages. */
static void remove_files(struct folder_saving *saving) {
    for (size_t i = 0; i < saving->count; i++) {
        char tmp[FOLDER_NAME_MAX + 32];
        struct saved *saved = &saving->messages[i];
        snprintf(tmp, sizeof tmp, "tmp/%s", saved->name);
        unlinkat(saving->target->directory, saved->path[0] ? saved->path : tmp, 0);
    }
}

void folder_save_abandon(struct folder_saving **saving) {
    if (!*saving) return;
    remove_files(*saving);
    free_saving(saving);
}

static bool flush(struct folder_saving *saving, struct failure *failure) {
    size_t done = 0;
    while (done < saving->pending.length) {
        ssize_t written = write(saving->file, saving->pending.data + done, saving->pending.length - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return failure_set_errno(failure, errno ? errno : ENOSPC, "cannot write the message");
        done += (size_t)written;
    }
    buf_clear(&saving->pending);
    return true;
}

/* Octets as they are stored. */
static void keep(struct folder_saving *saving, struct str bytes) {
    if (bytes.length == 0) return;
    for (const char *at = bytes.data, *end = bytes.data + bytes.length; at < end; at++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at) break;
        saving->line_feeds += (at > bytes.data ? at[-1] : saving->last) != '\r';
    }
    buf_append(&saving->pending, bytes);
    saving->size += bytes.length;
    saving->last = bytes.data[bytes.length - 1];
}

static bool sync_messages(struct folder_saving *saving, struct failure *failure) {
    for (; saving->synced < saving->count; saving->synced++) {
        struct saved *saved = &saving->messages[saving->synced];
        if (saved->file >= 0 && fsync(saved->file) < 0)
            return failure_set_errno(failure, errno, "cannot sync the message");
        if (saved->file >= 0) close(saved->file);
        saved->file = -1;
    }
    return true;
}

/* The last message is complete, with its date. Nobody waits for the disk before all are there. */
static bool finish_message(struct folder_saving *saving, struct failure *failure) {
    if (saving->file < 0) return true;
    struct saved *saved = &saving->messages[saving->count - 1];
    if (saving->held_cr) keep(saving, STR("\r"));
    saving->held_cr = false;
    if (!flush(saving, failure)) return false;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = saved->record.internal_date}};
    if (futimens(saving->file, times) < 0) return failure_set_errno(failure, errno, "cannot date the message");
    saved->file = saving->file;
    saving->file = -1;
    saved->record.size = saving->size;
    saved->record.virtual_size = saving->size + saving->line_feeds;
    if (saving->count - saving->synced >= UNSYNCED_MAX) return sync_messages(saving, failure);
    return true;
}

/* Another message follows: the disk may begin with the last one. No more than a hint. */
static void begin_writing(const struct folder_saving *saving) {
    int file = saving->count > 0 ? saving->messages[saving->count - 1].file : -1;
    if (file >= 0 && sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE) < 0) errno = 0;
}

static bool keep_keywords(struct folder_saving *saving, struct saved *saved, const struct str *keywords, size_t count) {
    saved->keywords = arena_allocate(saving->arena, count + 1, sizeof *saved->keywords);
    saved->keyword_count = count;
    for (size_t i = 0; saved->keywords && i < count; i++)
        if (!arena_copy(saving->arena, keywords[i], &saved->keywords[i])) return false;
    return saved->keywords != NULL;
}

enum store_result folder_save_message(struct folder_saving *saving, unsigned system, const struct str *keywords,
                                      size_t keyword_count, int64_t internal_date, struct failure *failure) {
    struct buf name = buf_make(0), path = buf_make(0);
    if (!finish_message(saving, failure)) return store_trouble(failure);
    begin_writing(saving);
    if (saving->count >= SAVE_AT_ONCE) {
        failure_set(failure, "too many messages at once");
        return STORE_LIMIT;
    }
    if (saving->count == saving->room) {
        saving->room = saving->room ? saving->room * 2 : 4;
        saving->messages = memory_resize(saving->messages, saving->room, sizeof *saving->messages);
    }
    store_unique_name(saving->store, &name);
    buf_printf(&path, "tmp/%s", buf_string(&name));
    int file = openat(saving->target->directory, buf_string(&path),
                      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        failure_set_errno(failure, errno, "cannot make a message");
    } else {
        struct saved *saved = &saving->messages[saving->count++];
        uint8_t flags = (uint8_t)(system & ~(unsigned)FLAG_RECENT);
        *saved = (struct saved){.name = memory_copy_string(buf_str(&name)),
                                .file = -1,
                                .record = {.system = flags,
                                           .name_flags = flags,
                                           .internal_date = internal_date ? internal_date : clock_date() / CLOCK_SECOND,
                                           .save_date = clock_date() / CLOCK_SECOND}};
        saving->file = file;
        saving->size = saving->line_feeds = 0;
        saving->last = '\0';
        if (!keep_keywords(saving, saved, keywords, keyword_count)) failure_set(failure, "too many keywords");
    }
    buf_free(&name);
    buf_free(&path);
    return file < 0 ? store_trouble(failure) : STORE_OK;
}

/* CR LF becomes LF, unless another CR stands before it: the file would then say CR LF for what was CR CR LF. A CR may
 * stand at the end of one piece and its LF at the beginning of the next. */
static void take_bytes(struct folder_saving *saving, struct str bytes) {
    if (saving->held_cr && (bytes.data[0] != '\n' || saving->last == '\r')) keep(saving, STR("\r"));
    saving->held_cr = false;
    while (bytes.length > 0) {
        const char *cr = memchr(bytes.data, '\r', bytes.length);
        size_t plain = cr ? (size_t)(cr - bytes.data) : bytes.length;
        keep(saving, str_slice(bytes, 0, plain));
        bytes = str_from_offset(bytes, plain);
        if (bytes.length == 0) break;
        if (bytes.length == 1)
            saving->held_cr = true;
        else if (bytes.data[1] != '\n' || saving->last == '\r')
            keep(saving, STR("\r"));
        bytes = str_from_offset(bytes, 1);
    }
}

enum store_result folder_save_bytes(struct folder_saving *saving, struct str bytes, struct failure *failure) {
    if (bytes.length > 0) take_bytes(saving, bytes);
    return saving->pending.length < SAVE_PIECE || flush(saving, failure) ? STORE_OK : store_trouble(failure);
}

/* ---- committing */

/* The base under which it will lie, and its place. */
static bool name_message(const struct folder_saving *saving, struct saved *saved) {
    struct buf name = buf_make(0), path = buf_make(0);
    buf_printf(&name, "%s,S=%llu,W=%llu", saved->name, (unsigned long long)saved->record.size,
               (unsigned long long)saved->record.virtual_size);
    bool good = arena_copy(saving->arena, buf_str(&name), &saved->record.name);
    saved->record.place = saving->delivery && saved->record.name_flags == 0 ? PLACE_NEW : PLACE_CUR;
    folder_record_path(&saved->record, &path);
    snprintf(saved->path, sizeof saved->path, "%s", buf_string(&path));
    buf_free(&name);
    buf_free(&path);
    return good;
}

static bool move_into_place(struct folder_saving *saving, struct failure *failure) {
    int directory = saving->target->directory;
    for (size_t i = 0; i < saving->count; i++) {
        char tmp[FOLDER_NAME_MAX + 32];
        struct saved *saved = &saving->messages[i];
        snprintf(tmp, sizeof tmp, "tmp/%s", saved->name);
        if (!name_message(saving, saved) || renameat(directory, tmp, directory, saved->path) < 0) {
            saved->path[0] = '\0';
            return failure_set_errno(failure, errno, "cannot put the message into its place");
        }
    }
    return true;
}

static enum store_result commit(struct folder_saving *saving, struct uid_set *uids, struct failure *failure) {
    struct folder_own_change own;
    folder_own_change_begin(saving->target, &own);
    if (!move_into_place(saving, failure)) return store_trouble(failure);
    bool in_new = false, in_cur = false;
    for (size_t i = 0; i < saving->count; i++) {
        in_new = in_new || saving->messages[i].record.place == PLACE_NEW;
        in_cur = in_cur || saving->messages[i].record.place == PLACE_CUR;
    }
    if ((in_new && !folder_sync_place(saving->target, PLACE_NEW, failure)) ||
        (in_cur && !folder_sync_place(saving->target, PLACE_CUR, failure)))
        return store_trouble(failure);
    return folder_note_saved(saving->target, saving->messages, saving->count, &own, uids, failure);
}

enum store_result folder_save_commit(struct folder_saving **saving, uint32_t *uid_validity, struct uid_set *uids,
                                     struct failure *failure) {
    struct folder *target = (*saving)->target;
    enum store_result result = STORE_OK;
    if (!finish_message(*saving, failure) || !sync_messages(*saving, failure) || !folder_lock(target, failure))
        result = store_trouble(failure);
    if (result == STORE_OK) {
        result = commit(*saving, uids, failure);
        folder_unlock(target);
    }
    if (result == STORE_OK) *uid_validity = folder_uid_validity(target);
    if (result == STORE_OK) folder_keep_target((*saving)->store, &(*saving)->target);
    if (result != STORE_OK) remove_files(*saving);
    free_saving(saving);
    return result;
}
