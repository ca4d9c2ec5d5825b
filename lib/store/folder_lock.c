/* The folder's lock, appending to its journal, and its directories' dates. */
#include "folder_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define LOCK_TIME     30000 /* ms */
#define LOCK_PAUSE_US 500   /* the first pause; it doubles to LOCK_PAUSE_MAX */
#define LOCK_PAUSE_MAX 8000
#define LOCK_LONG     100  /* ms: who has waited so long asks more often, and comes before those who have just begun */
#define LOCK_LONG_US  1000
/* A directory's date moves in steps of the kernel's tick (4 or 10 ms), on some file systems of a second: what was read
 * that soon after a change may not be all of it. */
#define DATE_STEP       20000
#define DATE_STEP_WHOLE 2100000

/* ---- the lock */

static bool wait_for_lock(int lock, struct failure *failure) {
    deadline until = deadline_in(LOCK_TIME);
    for (long pause = LOCK_PAUSE_US; flock(lock, LOCK_EX | LOCK_NB) < 0;) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return failure_set_errno(failure, errno, "cannot lock the folder");
        if (deadline_left(until) == 0) return failure_set(failure, "the folder is locked by another process for too long");
        bool is_long = deadline_left(until) < LOCK_TIME - LOCK_LONG;
        struct timespec time = {.tv_nsec = (is_long ? LOCK_LONG_US : pause) * 1000};
        nanosleep(&time, NULL);
        if (pause < LOCK_PAUSE_MAX) pause *= 2;
    }
    return true;
}

static bool is_replaced(const struct folder *folder) {
    struct stat status;
    return fstat(folder->state.file, &status) == 0 && status.st_nlink == 0;
}

bool folder_lock_alone(struct folder *folder, struct failure *failure) {
    if (folder->lock < 0)
        folder->lock = openat(folder->directory, FOLDER_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (folder->lock < 0) return failure_set_errno(failure, errno, "cannot open the folder's lock");
    return wait_for_lock(folder->lock, failure);
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

enum store_result folder_append(struct folder *folder, const struct buf *entries, unsigned how, struct failure *failure) {
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

/* ---- dates */

static bool date_of(int directory, const char *name, struct folder_date *date, struct failure *failure) {
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return failure_set_errno(failure, errno, "cannot look at the folder's %s", name);
    *date = (struct folder_date){.seconds = status.st_mtim.tv_sec,
                                 .nanoseconds = (uint32_t)status.st_mtim.tv_nsec,
                                 .read_at = clock_date()};
    return true;
}

bool folder_dates(const struct folder *folder, struct folder_date *cur, struct folder_date *new_date,
                  struct failure *failure) {
    return date_of(folder->directory, "cur", cur, failure) && date_of(folder->directory, "new", new_date, failure);
}

static int64_t date_step(const struct folder_date *date) {
    return date->nanoseconds == 0 ? DATE_STEP_WHOLE : DATE_STEP;
}

static int64_t microseconds(const struct folder_date *date) {
    return date->seconds * CLOCK_SECOND + date->nanoseconds / 1000;
}

bool folder_date_holds(const struct folder_date *noted, const struct folder_date *now) {
    return noted->read_at != 0 && noted->seconds == now->seconds && noted->nanoseconds == now->nanoseconds &&
           noted->read_at >= microseconds(noted) + date_step(noted);
}

void folder_own_change_begin(const struct folder *folder, struct folder_own_change *change) {
    struct folder_date cur = {0}, new_date = {0};
    struct failure ignored = {0};
    *change = (struct folder_own_change){0};
    if (!folder_dates(folder, &cur, &new_date, &ignored)) return;
    change->cur_held = folder_date_holds(&folder->state.header.cur, &cur);
    change->new_held = folder_date_holds(&folder->state.header.new, &new_date);
}

/* Another program's change in the same moments would not be seen by its date: folder_is_stale reads cur/ from time to
 * time in any case. */
void folder_own_change_end(const struct folder *folder, const struct folder_own_change *change, struct buf *entries) {
    struct journal_entry dates = {.type = JOURNAL_DATES,
                                  .cur = folder->state.header.cur,
                                  .new = folder->state.header.new,
                                  .read_whole = folder->state.header.read_whole};
    struct folder_date cur = {0}, new_date = {0};
    struct failure ignored = {0};
    if ((!change->cur_held && !change->new_held) || !folder_dates(folder, &cur, &new_date, &ignored)) return;
    if (change->cur_held) {
        dates.cur = cur;
        dates.cur.read_at = microseconds(&cur) + date_step(&cur);
    }
    if (change->new_held) {
        dates.new = new_date;
        dates.new.read_at = microseconds(&new_date) + date_step(&new_date);
    }
    journal_append(entries, &dates, NULL);
}
