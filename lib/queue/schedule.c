/* The schedule index on LMDB: see schedule.h.
 *
 * Two databases: "time" (date and ID to sites) and "id" (ID to date). What the index is worth
 * stands beside them in the file "state", so that LMDB never looks at pages that a power cut
 * may have torn:
 *   filling BOOT  made in that boot and not yet complete
 *   filled BOOT   complete; good while that boot lasts
 *   closed        complete and synced; good until somebody opens it */
#include "schedule.h"
#include "clock.h"
#include "memory.h"
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEDULE_MAP_SIZE ((size_t)4 << 30) /* address space, not memory: about 20 million entries */
#define SITES_LIMIT       ((size_t)400)
#define KEY_LIMIT         ((size_t)32)

/* What is read of the index stays mapped, and counts as this process's memory: of a million messages 150 MB.
 * So the environment is closed and opened again after so many touches; the pages stay in the kernel's cache.
 * The kernel maps up to 64 KB around a page that is touched, which makes it 16 MB at most. */
#define TOUCH_LIMIT ((size_t)256)

struct schedule {
    MDB_env *environment;
    MDB_txn *transaction; /* open while there are changes */
    MDB_dbi by_time, by_id;
    size_t count;
    size_t touched; /* leaf pages, at most, since the environment was opened */
    bool filled;
    char *folder;
    char boot_identity[64];
};

#define STATE_NAME     "state"
#define STATE_NEW_NAME "state.new"

static bool lmdb_failure(struct failure *failure, int code, const char *doing) {
    failure_set(failure, "schedule index: %s: %s", doing, mdb_strerror(code));
    if (failure && code > 0) failure->error_number = code;
    return false;
}

static MDB_val value_of(struct str s) {
    return (MDB_val){s.length, (void *)(uintptr_t)s.data};
}

/* Big-endian date before the ID, so that LMDB's byte order is time order. */
static size_t make_time_key(char key[KEY_LIMIT], int64_t when, struct str queue_id) {
    uint64_t date = when < 0 ? 0 : (uint64_t)when;
    for (unsigned i = 0; i < 8; i++)
        key[i] = (char)(unsigned char)(date >> (56 - 8 * i));
    size_t length = queue_id.length < KEY_LIMIT - 8 ? queue_id.length : KEY_LIMIT - 8;
    memcpy(key + 8, queue_id.data, length);
    return 8 + length;
}

static int64_t date_of_key(const char *key) {
    uint64_t date = 0;
    for (unsigned i = 0; i < 8; i++)
        date = date << 8 | (unsigned char)key[i];
    return date > INT64_MAX ? INT64_MAX : (int64_t)date;
}

bool schedule_commit(struct schedule *schedule, struct failure *failure) {
    if (!schedule->transaction) return true;
    int code = mdb_txn_commit(schedule->transaction);
    schedule->transaction = NULL;
    return code == 0 || lmdb_failure(failure, code, "cannot commit");
}

static void abandon(struct schedule *schedule) {
    if (schedule->transaction) mdb_txn_abort(schedule->transaction);
    schedule->transaction = NULL;
    if (schedule->environment) mdb_env_close(schedule->environment);
    schedule->environment = NULL;
}

static void schedule_free(struct schedule *schedule) {
    abandon(schedule);
    MEMORY_FREE(schedule->folder);
    MEMORY_FREE(schedule);
}

/* ---- the state */

static int open_folder(const char *folder) {
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static bool write_state_in(int directory, struct str text, struct failure *failure) {
    int file = openat(directory, STATE_NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return failure_set_errno(failure, errno, "schedule index: cannot write its state");
    errno = ENOSPC; /* what a short write means */
    bool good = write(file, text.data, text.length) == (ssize_t)text.length && fsync(file) == 0;
    int reason = errno;
    close(file);
    if (good && renameat(directory, STATE_NEW_NAME, directory, STATE_NAME) == 0 && fsync(directory) == 0) return true;
    return failure_set_errno(failure, good ? errno : reason, "schedule index: cannot write its state");
}

/* Durable before it returns: what comes after may harm what the state before promised. */
static bool write_state(const struct schedule *schedule, const char *word, struct failure *failure) {
    char text[96];
    snprintf(text, sizeof text, "%s %s", word, schedule->boot_identity);
    int directory = open_folder(schedule->folder);
    if (directory < 0) return failure_set_errno(failure, errno, "schedule index: cannot open its folder");
    bool good = write_state_in(directory, str_from(text), failure);
    close(directory);
    return good;
}

/* Usable: complete, and written in this boot (the kernel has every page) or closed in order. */
static bool is_fresh(const struct schedule *schedule) {
    char bytes[96], filled[96];
    int directory = open_folder(schedule->folder);
    int file = directory < 0 ? -1 : openat(directory, STATE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t length = file < 0 ? 0 : read(file, bytes, sizeof bytes);
    if (file >= 0) close(file);
    if (directory >= 0) close(directory);
    struct str state = str_make(bytes, length > 0 ? (size_t)length : 0);
    snprintf(filled, sizeof filled, "filled %s", schedule->boot_identity);
    return str_equal(state, str_from(filled)) || str_starts(state, STR("closed "));
}

static void remove_files(const char *folder) {
    int directory = open_folder(folder);
    if (directory < 0) return;
    unlinkat(directory, "data.mdb", 0);
    unlinkat(directory, "lock.mdb", 0);
    close(directory);
}

/* ---- opening and closing */

static bool open_environment(struct schedule *schedule, const char *folder, struct failure *failure) {
    int code = mdb_env_create(&schedule->environment);
    if (code) return lmdb_failure(failure, code, "cannot start");
    mdb_env_set_maxdbs(schedule->environment, 2);
    mdb_env_set_mapsize(schedule->environment, SCHEDULE_MAP_SIZE);
    code = mdb_env_open(schedule->environment, folder, MDB_NOSYNC | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    if (code == 0) code = mdb_txn_begin(schedule->environment, NULL, 0, &schedule->transaction);
    if (code == 0) code = mdb_dbi_open(schedule->transaction, "time", MDB_CREATE, &schedule->by_time);
    if (code == 0) code = mdb_dbi_open(schedule->transaction, "id", MDB_CREATE, &schedule->by_id);
    MDB_stat status;
    if (code == 0) code = mdb_stat(schedule->transaction, schedule->by_id, &status);
    if (code) {
        lmdb_failure(failure, code, "cannot open");
        abandon(schedule);
        return false;
    }
    schedule->count = status.ms_entries;
    schedule->touched = 0;
    return true;
}

/* Before each access, which may touch so many leaf pages. */
static bool begin(struct schedule *schedule, size_t touches, struct failure *failure) {
    if (schedule->touched + touches > TOUCH_LIMIT) {
        if (!schedule_commit(schedule, failure)) return false;
        abandon(schedule);
    }
    if (!schedule->environment && !open_environment(schedule, schedule->folder, failure)) return false;
    schedule->touched += touches;
    if (schedule->transaction) return true;
    int code = mdb_txn_begin(schedule->environment, NULL, 0, &schedule->transaction);
    return code == 0 || lmdb_failure(failure, code, "cannot begin a transaction");
}

static bool open_kept_or_new(struct schedule *schedule, bool *fresh, struct failure *failure) {
    if (mkdir(schedule->folder, 0700) < 0 && errno != EEXIST)
        return failure_set_errno(failure, errno, "cannot make %s", schedule->folder);
    /* A word that promises less comes first: whatever happens from here on, it is not believed too much. */
    *fresh = is_fresh(schedule) && write_state(schedule, "filled", NULL) &&
             open_environment(schedule, schedule->folder, NULL);
    if (*fresh) return true;
    if (!write_state(schedule, "filling", failure)) return false;
    remove_files(schedule->folder);
    return open_environment(schedule, schedule->folder, failure);
}

bool schedule_open(const char *folder, struct str boot_identity, struct schedule **schedule, bool *empty,
                   struct failure *failure) {
    struct schedule *made = MEMORY_NEW(struct schedule);
    snprintf(made->boot_identity, sizeof made->boot_identity, "%.*s", STR_ARGS(boot_identity));
    made->folder = memory_copy_string(str_from(folder));
    if (!open_kept_or_new(made, &made->filled, failure) || !schedule_commit(made, failure)) {
        schedule_free(made);
        return false;
    }
    *empty = !made->filled;
    *schedule = made;
    return true;
}

bool schedule_filled(struct schedule *schedule, struct failure *failure) {
    schedule->filled = schedule_commit(schedule, failure) && write_state(schedule, "filled", failure);
    return schedule->filled;
}

void schedule_close(struct schedule **schedule) {
    struct schedule *closing = *schedule;
    if (!closing) return;
    *schedule = NULL;
    bool good = schedule_commit(closing, NULL) && closing->filled && closing->environment &&
                mdb_env_sync(closing->environment, 1) == 0;
    abandon(closing);
    if (good) (void)!write_state(closing, "closed", NULL);
    schedule_free(closing);
}

void schedule_discard(struct schedule **schedule) {
    struct schedule *discarded = *schedule;
    if (!discarded) return;
    *schedule = NULL;
    abandon(discarded);
    (void)!write_state(discarded, "filling", NULL);
    remove_files(discarded->folder);
    schedule_free(discarded);
}

/* Takes the entry out of both databases if it is there. */
static int drop(struct schedule *schedule, struct str queue_id) {
    MDB_val key = value_of(queue_id), date;
    int code = mdb_get(schedule->transaction, schedule->by_id, &key, &date);
    if (code == MDB_NOTFOUND) return 0;
    if (code) return code;
    if (date.mv_size == 8) {
        char time_key[KEY_LIMIT];
        size_t length = make_time_key(time_key, date_of_key(date.mv_data), queue_id);
        MDB_val by_time = {length, time_key};
        code = mdb_del(schedule->transaction, schedule->by_time, &by_time, NULL);
        if (code && code != MDB_NOTFOUND) return code;
    }
    code = mdb_del(schedule->transaction, schedule->by_id, &key, NULL);
    if (code == 0) schedule->count--;
    return code;
}

bool schedule_put(struct schedule *schedule, struct str queue_id, int64_t when, struct str sites,
                  struct failure *failure) {
    if (!begin(schedule, 3, failure)) return false;
    int code = drop(schedule, queue_id);
    char time_key[KEY_LIMIT];
    size_t length = make_time_key(time_key, when, queue_id);
    MDB_val key = {length, time_key}, value = value_of(str_slice(sites, 0, SITES_LIMIT));
    if (code == 0) code = mdb_put(schedule->transaction, schedule->by_time, &key, &value, 0);
    MDB_val id_key = value_of(queue_id), date = {8, time_key};
    if (code == 0) code = mdb_put(schedule->transaction, schedule->by_id, &id_key, &date, 0);
    if (code) return lmdb_failure(failure, code, "cannot write");
    schedule->count++;
    return true;
}

bool schedule_remove(struct schedule *schedule, struct str queue_id, struct failure *failure) {
    if (!begin(schedule, 2, failure)) return false;
    int code = drop(schedule, queue_id);
    return code == 0 || lmdb_failure(failure, code, "cannot remove");
}

bool schedule_next(struct schedule *schedule, int64_t *when, char queue_id[24], struct str *sites) {
    if (!begin(schedule, 1, NULL)) return false;
    char start[KEY_LIMIT];
    size_t length = make_time_key(start, *when, str_from(queue_id));
    bool first = queue_id[0] == '\0';
    MDB_cursor *cursor;
    if (mdb_cursor_open(schedule->transaction, schedule->by_time, &cursor) != 0) return false;
    MDB_val key = {length, start}, value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (code == 0 && !first && key.mv_size == length && memcmp(key.mv_data, start, length) == 0)
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    mdb_cursor_close(cursor);
    if (code != 0 || key.mv_size <= 8 || key.mv_size - 8 > 23) return false;
    *when = date_of_key(key.mv_data);
    memcpy(queue_id, (const char *)key.mv_data + 8, key.mv_size - 8);
    queue_id[key.mv_size - 8] = '\0';
    *sites = str_make(value.mv_data, value.mv_size);
    return true;
}

bool schedule_find(struct schedule *schedule, struct str queue_id, int64_t *when) {
    if (!begin(schedule, 1, NULL)) return false;
    MDB_val key = value_of(queue_id), date;
    if (mdb_get(schedule->transaction, schedule->by_id, &key, &date) != 0 || date.mv_size != 8) return false;
    *when = date_of_key(date.mv_data);
    return true;
}

size_t schedule_count(struct schedule *schedule) {
    return schedule->count;
}
