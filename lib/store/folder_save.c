/* Saving messages: APPEND, delivery, COPY and MOVE.
 *
 *   tmp/NAME       written, and synced: of several messages one after the other while the rest is being written
 *   cur/NAME:2,…   by rename, under the folder's lock (new/NAME for new mail)
 *   cur/           synced
 *   the journal    UIDs, synced: only then is anything said
 *
 * A crash on the way leaves files in tmp/, or messages that nobody was promised: they are met by the next scan. */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define SAVE_PIECE      65536
#define SAVE_AT_ONCE    10000 /* messages of one saving */
#define UNSYNCED_MAX    32    /* files that are open until they are synced together */
#define COPY_NAME_ROOM  (FOLDER_NAME_MAX - 10)

/* ---- what is being saved */

struct saved {
    char *name; /* in tmp/; then the base of its name */
    int file;   /* whole, but not synced; -1 */
    struct folder_record record;
    struct str *keywords;
    size_t keyword_count;
    char path[FOLDER_NAME_MAX + 32]; /* where it came to lie, beneath the folder; empty: not yet */
};

struct folder_saving {
    struct store *store;
    struct folder *target;
    struct arena *arena;
    struct saved *messages;
    size_t count, room;
    int file; /* of the last message while it is written; -1 */
    size_t synced; /* so many of the messages are */
    struct buf pending;
    bool held_cr;
    char last; /* octet that was stored; NUL: none yet */
    uint64_t size, line_feeds; /* line_feeds: those that IMAP shows with a CR that is not in the file */
    bool delivery;
};

/* ---- the target: who saves one message saves more of them, most often */

void store_drop_target(struct store *store) {
    struct failure ignored = {0};
    if (!store->target) return;
    if (folder_is_journal_long(store->target)) (void)!folder_settle(store->target, &ignored);
    folder_close(&store->target);
}

/* The kept one if it is this mailbox, and nobody has put another one or another file into its place. */
static struct folder *take_target(struct store *store, struct str name, enum store_result *result,
                                  struct failure *failure) {
    struct folder *kept = store->target;
    struct stat status;
    if (kept && str_equal(str_from(kept->name), name) && store_folder_is(store, name, kept->directory) &&
        fstat(kept->state.file, &status) == 0 && status.st_nlink > 0) {
        store->target = NULL;
        *result = STORE_OK;
        return kept;
    }
    store_drop_target(store);
    return folder_open_target(store, name, result, failure);
}

/* For the next time: after a success, when the state is known to be good. */
static void keep_target(struct store *store, struct folder **target) {
    store_drop_target(store);
    store->target = *target;
    *target = NULL;
}

struct folder_saving *folder_save_begin(struct store *store, struct str name, enum store_result *result,
                                        struct failure *failure) {
    struct folder *target = take_target(store, name, result, failure);
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
    int file = openat(saving->target->directory, buf_string(&path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        failure_set_errno(failure, errno, "cannot make a message");
    } else {
        struct saved *saved = &saving->messages[saving->count++];
        uint8_t flags = (uint8_t)(system & ~(unsigned)FLAG_RECENT);
        *saved = (struct saved){.name = memory_copy_string(buf_str(&name)),
                                .file = -1,
                                .record = {.system = flags, .name_flags = flags,
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

static bool sync_place(struct folder *target, enum folder_place place, struct failure *failure) {
    int *directory = &target->places[place];
    if (*directory < 0)
        *directory = openat(target->directory, place == PLACE_NEW ? "new" : "cur",
                            O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return (*directory >= 0 && fsync(*directory) == 0) || failure_set_errno(failure, errno, "cannot sync the folder");
}

/* Lock held: UIDs in the order of the messages. */
static enum store_result note_messages(struct folder *target, struct saved *messages, size_t count,
                                       const struct folder_own_change *own, struct uid_set *uids, struct failure *failure) {
    struct buf entries = buf_make(0), adds = buf_make(0); /* entries: keywords come first */
    uint32_t uid = target->state.header.uid_next;
    uint64_t modseq = target->state.header.highest_modseq + 1;
    enum store_result result = STORE_OK;
    if (count > UINT32_MAX - uid) {
        failure_set(failure, "the mailbox has no UIDs left");
        result = STORE_LIMIT;
    }
    for (size_t i = 0; result == STORE_OK && i < count; i++) {
        struct journal_entry add = {.type = JOURNAL_ADD, .record = messages[i].record};
        result = folder_keyword_bits(target, messages[i].keywords, messages[i].keyword_count, true, &entries,
                                     &add.record.keywords, failure);
        add.record.uid = uid + (uint32_t)i;
        add.record.modseq = modseq;
        journal_append(&adds, &add, NULL);
    }
    buf_append(&entries, buf_str(&adds));
    buf_free(&adds);
    folder_own_change_end(target, own, &entries);
    if (result == STORE_OK) result = folder_append(target, &entries, APPEND_SYNCED, failure);
    if (result == STORE_OK && count > 0) uid_set_add(uids, uid, uid + (uint32_t)count - 1);
    buf_free(&entries);
    return result;
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
    if ((in_new && !sync_place(saving->target, PLACE_NEW, failure)) ||
        (in_cur && !sync_place(saving->target, PLACE_CUR, failure)))
        return store_trouble(failure);
    return note_messages(saving->target, saving->messages, saving->count, &own, uids, failure);
}

enum store_result folder_save_commit(struct folder_saving **saving, uint32_t *uid_validity, struct uid_set *uids,
                                     struct failure *failure) {
    struct folder *target = (*saving)->target;
    enum store_result result = STORE_OK;
    if (!finish_message(*saving, failure) || !sync_messages(*saving, failure) || !folder_lock(target, failure)) result = store_trouble(failure);
    if (result == STORE_OK) {
        result = commit(*saving, uids, failure);
        folder_unlock(target);
    }
    if (result == STORE_OK) *uid_validity = folder_uid_validity(target);
    if (result == STORE_OK) keep_target((*saving)->store, &(*saving)->target);
    if (result != STORE_OK) remove_files(*saving);
    free_saving(saving);
    return result;
}

/* ---- copying */

struct copying {
    struct folder *source, *target;
    struct saved *messages;
    size_t count;
    struct uid_set *from;
    struct arena *arena;
    bool lost; /* a file was not where it should be */
    bool move, gone; /* gone: one is expunged */
    bool same;       /* the target is the source, opened twice */
};

static bool copy_bytes(int from, int to, uint64_t size) {
    for (uint64_t done = 0; done < size;) {
        ssize_t sent = sendfile(to, from, NULL, size - done > 1 << 20 ? 1 << 20 : (size_t)(size - done));
        if (sent <= 0) return false;
        done += (uint64_t)sent;
    }
    return true;
}

/* Where no hard link can be made (another file system, too many links). */
static bool copy_file(struct copying *copying, int from, const char *path) {
    struct stat status;
    int to = openat(copying->target->directory, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = to >= 0 && fstat(from, &status) == 0 && copy_bytes(from, to, (uint64_t)status.st_size);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
    if (good) times[1] = status.st_mtim;
    good = good && futimens(to, times) == 0 && fsync(to) == 0;
    if (to >= 0) close(to);
    if (!good && to >= 0) unlinkat(copying->target->directory, path, 0);
    return good;
}

/* A COPY holds the target's lock alone. */
static bool link_message(struct copying *copying, uint32_t sequence, struct saved *saved, struct failure *failure) {
    struct folder *from = copying->source;
    struct buf path = buf_make(0), source = buf_make(0);
    struct folder_record now;
    folder_record_path(&saved->record, &path);
    folder_state_get(&from->state, folder_slot(from, sequence), &now);
    folder_record_path(&now, &source);
    bool good = linkat(from->directory, buf_string(&source), copying->target->directory, buf_string(&path), 0) == 0;
    if (!good) {
        int file = openat(from->directory, buf_string(&source), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        copying->lost = file < 0 && errno == ENOENT;
        good = file >= 0 && copy_file(copying, file, buf_string(&path));
        if (!good) failure_set_errno(failure, errno, "cannot copy a message");
        if (file >= 0) close(file);
    }
    if (good) snprintf(saved->path, sizeof saved->path, "%s", buf_string(&path));
    buf_free(&path);
    buf_free(&source);
    return good;
}

static bool describe_copy(struct copying *copying, uint32_t sequence, struct saved *saved, struct failure *failure) {
    struct folder *source = copying->source;
    struct folder_record record;
    struct buf name = buf_make(COPY_NAME_ROOM);
    folder_state_get(&source->state, folder_slot(source, sequence), &record);
    store_unique_name(copying->target->store, &name);
    if (record.virtual_size && record.size != FOLDER_SIZE_UNKNOWN)
        buf_printf(&name, ",S=%llu,W=%llu", (unsigned long long)record.size, (unsigned long long)record.virtual_size);
    *saved = (struct saved){.record = record};
    bool good = arena_copy(copying->arena, buf_str(&name), &saved->record.name);
    saved->record.name_flags = record.system;
    saved->record.place = PLACE_CUR;
    saved->record.save_date = clock_date() / CLOCK_SECOND;
    saved->keywords = arena_allocate(copying->arena, FOLDER_KEYWORDS_MAX, sizeof *saved->keywords);
    for (unsigned bit = 0; saved->keywords && bit < FOLDER_KEYWORDS_MAX; bit++)
        if ((record.keywords >> bit & 1) && source->state.keywords[bit].length)
            saved->keywords[saved->keyword_count++] = source->state.keywords[bit];
    buf_free(&name);
    return (good && saved->keywords) || failure_set(failure, "out of room for names");
}

/* Links all of them; lock of the target held. */
static bool link_all(struct copying *copying, const struct uid_set *uids, struct failure *failure) {
    for (size_t i = 0; i < uids->count; i++) {
        uint32_t sequence = folder_sequence_from(copying->source, uids->ranges[i].first);
        for (; sequence <= folder_count(copying->source); sequence++) {
            uint32_t uid = folder_uid(copying->source, sequence);
            if (uid > uids->ranges[i].last) break;
            if (slot_set_has(&copying->source->state.gone, folder_slot(copying->source, sequence))) {
                if (copying->move) continue;
                copying->gone = true;
                return failure_set(failure, "a message is gone");
            }
            struct saved *saved = &copying->messages[copying->count];
            if (!describe_copy(copying, sequence, saved, failure) || !link_message(copying, sequence, saved, failure))
                return false;
            copying->count++;
            uid_set_add(copying->from, uid, uid);
        }
    }
    return true;
}

static enum store_result copy_locked(struct copying *copying, const struct uid_set *uids, struct uid_set *to,
                                     struct failure *failure) {
    struct folder_own_change own;
    folder_own_change_begin(copying->target, &own);
    enum store_result result = STORE_OK;
    if (!link_all(copying, uids, failure) || (copying->count > 0 && !sync_place(copying->target, PLACE_CUR, failure)))
        result = copying->gone ? STORE_GONE : store_trouble(failure);
    if (result == STORE_OK) result = note_messages(copying->target, copying->messages, copying->count, &own, to, failure);
    for (size_t i = 0; result != STORE_OK && i < copying->count; i++)
        unlinkat(copying->target->directory, copying->messages[i].path, 0);
    return result;
}

/* A MOVE holds both locks until its messages are gone from the source, so that what another session stores or moves
 * meanwhile is neither lost nor doubled; by inode number, so that two MOVEs never wait for each other. A folder's lock
 * is one, however often it is open. */
static bool lock_both(struct copying *copying, struct failure *failure) {
    struct folder *source = copying->source, *target = copying->target;
    struct stat from, to;
    if (!copying->move) return folder_lock(target, failure);
    if (fstat(source->directory, &from) < 0 || fstat(target->directory, &to) < 0)
        return failure_set_errno(failure, errno, "cannot look at the folder");
    copying->same = from.st_dev == to.st_dev && from.st_ino == to.st_ino;
    if (copying->same) {
        if (!folder_lock(target, failure)) return false;
        if (folder_read_locked(source, failure)) return true;
        folder_unlock(target);
        return false;
    }
    struct folder *first = from.st_ino < to.st_ino ? source : target, *second = first == source ? target : source;
    if (!folder_lock(first, failure)) return false;
    if (folder_lock(second, failure)) return true;
    folder_unlock(first);
    return false;
}

static void unlock_both(struct copying *copying) {
    folder_unlock(copying->target);
    if (copying->move && !copying->same) folder_unlock(copying->source);
}

static enum store_result copy_once(struct copying *copying, const struct uid_set *uids, struct uid_set *to, struct failure *failure) {
    copying->count = 0;
    copying->lost = false;
    uid_set_clear(copying->from);
    if (!lock_both(copying, failure)) return store_trouble(failure);
    enum store_result result = copy_locked(copying, uids, to, failure);
    if (result == STORE_OK && copying->same && !folder_read_locked(copying->source, failure)) result = store_trouble(failure);
    if (result == STORE_OK && copying->move && copying->count > 0)
        result = folder_expunge_uids(copying->source, copying->from, true, failure);
    unlock_both(copying);
    return result;
}

/* Files that were renamed meanwhile are looked for, while no lock is held. */
static enum store_result copy_all(struct copying *copying, const struct uid_set *uids, struct uid_set *to, struct failure *failure) {
    for (int attempt = 0;; attempt++) {
        enum store_result result = copy_once(copying, uids, to, failure);
        if (result == STORE_OK || !copying->lost || attempt == 2) return result;
        result = folder_find_again(copying->source, failure);
        if (result != STORE_OK) return result;
    }
}

enum store_result folder_copy(struct folder *folder, const struct uid_set *uids, struct str target, bool move,
                              uint32_t *uid_validity, struct uid_set *from, struct uid_set *to, struct failure *failure) {
    enum store_result result;
    struct copying copying = {.source = folder, .from = from, .arena = arena_create(0), .move = move};
    /* Flags that other sessions have set meanwhile go along. */
    if (!folder_lock(folder, failure)) {
        arena_destroy(&copying.arena);
        return store_trouble(failure);
    }
    folder_unlock(folder);
    copying.target = take_target(folder->store, target, &result, failure);
    if (copying.target) {
        copying.messages = memory_allocate((size_t)folder_count(folder) + 1, sizeof *copying.messages);
        result = copy_all(&copying, uids, to, failure);
        if (result == STORE_OK) *uid_validity = folder_uid_validity(copying.target);
        if (result == STORE_OK) keep_target(folder->store, &copying.target);
        folder_close(&copying.target);
    }
    if (result != STORE_OK) uid_set_clear(from);
    MEMORY_FREE(copying.messages);
    arena_destroy(&copying.arena);
    return result;
}
