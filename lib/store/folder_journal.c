/* See folder_journal.h. */
#include "folder_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "folder_state_load.h"
#include "store_root.h"

#define LOCK_FILE      "tern-lock"
#define LOCK_TIME      30000 /* ms */
#define LOCK_PAUSE_US  500   /* the first pause; it doubles to LOCK_PAUSE_MAX */
#define LOCK_PAUSE_MAX 8000
#define LOCK_LONG      100 /* ms: who has waited so long asks more often, and comes before those who have just begun */
#define LOCK_LONG_US   1000

bool folder_wait_for_lock(int lock, struct failure *failure) {
    deadline until = deadline_in(LOCK_TIME);
    for (long pause = LOCK_PAUSE_US; flock(lock, LOCK_EX | LOCK_NB) < 0;) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return failure_set_errno(failure, errno, "cannot lock the folder");
        if (deadline_left(until) == 0)
            return failure_set(failure, "the folder is locked by another process for too long");
        bool is_long = deadline_left(until) < LOCK_TIME - LOCK_LONG;
        struct timespec time = {.tv_nsec = (is_long ? LOCK_LONG_US : pause) * 1000};
        nanosleep(&time, NULL);
        if (pause < LOCK_PAUSE_MAX) pause *= 2;
    }
    return true;
}

bool folder_lock_alone(struct folder *folder, struct failure *failure) {
    if (folder->lock < 0)
        folder->lock = openat(folder->directory, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (folder->lock < 0) return failure_set_errno(failure, errno, "cannot open the folder's lock");
    return folder_wait_for_lock(folder->lock, failure);
}

/* ---- reading */

bool folder_reload(struct folder *folder, struct failure *failure) {
    struct folder_state loaded;
    int file = folder_state_open(folder->directory);
    if (file < 0) return failure_set_errno(failure, errno, "cannot open tern-mailbox");
    if (!folder_state_load(file, &loaded, failure)) return false;
    folder_view_renew(folder, &loaded);
    return true;
}

static bool is_replaced(const struct folder *folder) {
    struct stat status;
    return fstat(folder->state.file, &status) == 0 && status.st_nlink == 0;
}

bool folder_read_locked(struct folder *folder, struct failure *failure) {
    struct state_watcher watcher = folder_watcher(folder);
    return is_replaced(folder) ? folder_reload(folder, failure) : folder_state_read(&folder->state, &watcher, failure);
}

bool folder_lock(struct folder *folder, struct failure *failure) {
    if (!folder_lock_alone(folder, failure)) return false;
    bool good = folder_read_locked(folder, failure);
    if (!good) folder_unlock(folder);
    return good;
}

void folder_unlock(struct folder *folder) {
    flock(folder->lock, LOCK_UN);
}

bool folder_await_writer(struct folder *folder, struct failure *failure) {
    if (!folder_lock(folder, failure)) return false;
    folder_unlock(folder);
    return true;
}

/* ---- appending */

static bool write_entries(struct folder *folder, struct str bytes, struct failure *failure) {
    int file = folder->state.file;
    off_t end = (off_t)folder->state.position;
    struct stat status;
    /* What a process that died began to write was told to nobody. */
    if (fstat(file, &status) < 0 || (status.st_size > end && ftruncate(file, end) < 0))
        return failure_set_errno(failure, errno, "cannot write tern-mailbox");
    for (size_t done = 0; done < bytes.length;) {
        ssize_t written = pwrite(file, bytes.data + done, bytes.length - done, end + (off_t)done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            failure_set_errno(failure, errno ? errno : ENOSPC, "cannot write tern-mailbox");
            if (ftruncate(file, end) < 0) return false; /* the next writer does it */
            return false;
        }
        done += (size_t)written;
    }
    return true;
}

enum store_result folder_append(struct folder *folder, const struct buf *entries, unsigned how,
                                struct failure *failure) {
    if (entries->length == 0) return STORE_OK;
    if (!write_entries(folder, buf_str(entries), failure)) return store_trouble(failure);
    if ((how & APPEND_SYNCED) && fdatasync(folder->state.file) < 0) {
        failure_set_errno(failure, errno, "cannot sync tern-mailbox");
        return store_trouble(failure);
    }
    if (!(how & APPEND_SYNCED)) folder->journal_unsynced = true;
    struct state_watcher watcher = folder_watcher(folder);
    folder->applying_own = (how & APPEND_OWN) != 0;
    bool good = folder_state_read(&folder->state, &watcher, failure);
    folder->applying_own = false;
    return good ? STORE_OK : STORE_BROKEN;
}
