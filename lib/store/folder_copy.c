/* COPY and MOVE: by hard links, under the target's lock; a MOVE holds the source's too. As in folder_save.c the place
 * is synced first, then the journal gives UIDs, and only then is anything said or taken from the source. */
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "folder_expunge.h"
#include "folder_journal.h"
#include "folder_name.h"
#include "folder_saved.h"
#include "folder_target.h"
#include "store_root.h"

#define NAME_ROOM (FOLDER_NAME_MAX - 10)

struct copying {
    struct folder *source, *target;
    struct saved *messages;
    size_t count;
    struct uid_set *from;
    struct arena *arena;
    bool lost;       /* a file was not where it should be */
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
    struct buf name = buf_make(NAME_ROOM);
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
    if (!link_all(copying, uids, failure) ||
        (copying->count > 0 && !folder_sync_place(copying->target, PLACE_CUR, failure)))
        result = copying->gone ? STORE_GONE : store_trouble(failure);
    if (result == STORE_OK)
        result = folder_note_saved(copying->target, copying->messages, copying->count, &own, to, failure);
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

static enum store_result copy_once(struct copying *copying, const struct uid_set *uids, struct uid_set *to,
                                   struct failure *failure) {
    copying->count = 0;
    copying->lost = false;
    uid_set_clear(copying->from);
    if (!lock_both(copying, failure)) return store_trouble(failure);
    enum store_result result = copy_locked(copying, uids, to, failure);
    if (result == STORE_OK && copying->same && !folder_read_locked(copying->source, failure))
        result = store_trouble(failure);
    if (result == STORE_OK && copying->move && copying->count > 0)
        result = folder_expunge_uids(copying->source, copying->from, true, failure);
    unlock_both(copying);
    return result;
}

/* Files that were renamed meanwhile are looked for, while no lock is held. */
static enum store_result copy_all(struct copying *copying, const struct uid_set *uids, struct uid_set *to,
                                  struct failure *failure) {
    for (int attempt = 0;; attempt++) {
        enum store_result result = copy_once(copying, uids, to, failure);
        if (result == STORE_OK || !copying->lost || attempt == 2) return result;
        result = folder_read_again(copying->source, failure);
        if (result != STORE_OK) return result;
    }
}

enum store_result folder_copy(struct folder *folder, const struct uid_set *uids, struct str target, bool move,
                              uint32_t *uid_validity, struct uid_set *from, struct uid_set *to,
                              struct failure *failure) {
    enum store_result result;
    struct copying copying = {.source = folder, .from = from, .arena = arena_create(0), .move = move};
    /* Flags that other sessions have set meanwhile go along. */
    if (!folder_lock(folder, failure)) {
        arena_destroy(&copying.arena);
        return store_trouble(failure);
    }
    folder_unlock(folder);
    copying.target = folder_take_target(folder->store, target, &result, failure);
    if (copying.target) {
        copying.messages = memory_allocate((size_t)folder_count(folder) + 1, sizeof *copying.messages);
        result = copy_all(&copying, uids, to, failure);
        if (result == STORE_OK) *uid_validity = folder_uid_validity(copying.target);
        if (result == STORE_OK) folder_keep_target(folder->store, &copying.target);
        folder_close(&copying.target);
    }
    if (result != STORE_OK) uid_set_clear(from);
    MEMORY_FREE(copying.messages);
    arena_destroy(&copying.arena);
    return result;
}
