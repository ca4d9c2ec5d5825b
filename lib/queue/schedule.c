/* The schedule index on LMDB: see schedule.h.
 *
 * Three databases: "time" (date and ID to sites), "id" (ID to date), "meta"
 * (identity of the boot that wrote it, and whether it was closed). */
#include "schedule.h"
#include "clock.h"
#include "memory.h"
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEDULE_MAP_SIZE ((size_t)4 << 30) /* address space, not memory: about 20 million entries */
#define SITES_LIMIT ((size_t)400)
#define KEY_LIMIT ((size_t)32)

struct schedule {
    MDB_env *environment;
    MDB_txn *transaction; /* open while there are changes */
    MDB_dbi by_time, by_id, meta;
    size_t count;
    char boot_identity[64];
};

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
    for (unsigned i = 0; i < 8; i++) key[i] = (char)(unsigned char)(date >> (56 - 8 * i));
    size_t length = queue_id.length < KEY_LIMIT - 8 ? queue_id.length : KEY_LIMIT - 8;
    memcpy(key + 8, queue_id.data, length);
    return 8 + length;
}

static int64_t date_of_key(const char *key) {
    uint64_t date = 0;
    for (unsigned i = 0; i < 8; i++) date = date << 8 | (unsigned char)key[i];
    return date > INT64_MAX ? INT64_MAX : (int64_t)date;
}

static bool begin(struct schedule *schedule, struct failure *failure) {
    if (schedule->transaction) return true;
    int code = mdb_txn_begin(schedule->environment, NULL, 0, &schedule->transaction);
    return code == 0 || lmdb_failure(failure, code, "cannot begin a transaction");
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
    mdb_env_close(schedule->environment);
    schedule->environment = NULL;
}

static bool set_meta(struct schedule *schedule, struct str name, struct str text, struct failure *failure) {
    if (!begin(schedule, failure)) return false;
    MDB_val key = value_of(name), value = value_of(text);
    int code = mdb_put(schedule->transaction, schedule->meta, &key, &value, 0);
    return code == 0 || lmdb_failure(failure, code, "cannot write");
}

static bool open_environment(struct schedule *schedule, const char *folder, struct failure *failure) {
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) return failure_set_errno(failure, errno, "cannot make %s", folder);
    int code = mdb_env_create(&schedule->environment);
    if (code) return lmdb_failure(failure, code, "cannot start");
    mdb_env_set_maxdbs(schedule->environment, 3);
    mdb_env_set_mapsize(schedule->environment, SCHEDULE_MAP_SIZE);
    code = mdb_env_open(schedule->environment, folder, MDB_NOSYNC | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    if (code == 0) code = mdb_txn_begin(schedule->environment, NULL, 0, &schedule->transaction);
    if (code == 0) code = mdb_dbi_open(schedule->transaction, "time", MDB_CREATE, &schedule->by_time);
    if (code == 0) code = mdb_dbi_open(schedule->transaction, "id", MDB_CREATE, &schedule->by_id);
    if (code == 0) code = mdb_dbi_open(schedule->transaction, "meta", MDB_CREATE, &schedule->meta);
    MDB_stat status;
    if (code == 0) code = mdb_stat(schedule->transaction, schedule->by_id, &status);
    if (code) {
        lmdb_failure(failure, code, "cannot open");
        abandon(schedule);
        return false;
    }
    schedule->count = status.ms_entries;
    return true;
}

/* Usable: written in this boot (the kernel has every page), or closed in order. */
static bool is_fresh(struct schedule *schedule) {
    MDB_val key = value_of(STR("boot")), boot, state;
    if (mdb_get(schedule->transaction, schedule->meta, &key, &boot) != 0) return false;
    if (str_equal(str_make(boot.mv_data, boot.mv_size), str_from(schedule->boot_identity))) return true;
    key = value_of(STR("state"));
    return mdb_get(schedule->transaction, schedule->meta, &key, &state) == 0 &&
           str_equal(str_make(state.mv_data, state.mv_size), STR("closed"));
}

static void remove_files(const char *folder) {
    int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (directory < 0) return;
    unlinkat(directory, "data.mdb", 0);
    unlinkat(directory, "lock.mdb", 0);
    close(directory);
}

bool schedule_open(const char *folder, struct str boot_identity, struct schedule **schedule, bool *empty,
                   struct failure *failure) {
    struct schedule *made = MEMORY_NEW(struct schedule);
    snprintf(made->boot_identity, sizeof made->boot_identity, "%.*s", STR_ARGS(boot_identity));
    bool fresh = open_environment(made, folder, NULL) && is_fresh(made);
    if (!fresh) {
        if (made->environment) abandon(made);
        remove_files(folder);
        made->count = 0;
        if (!open_environment(made, folder, failure)) {
            MEMORY_FREE(made);
            return false;
        }
    }
    if (!set_meta(made, STR("boot"), str_from(made->boot_identity), failure) ||
        !set_meta(made, STR("state"), STR("open"), failure) || !schedule_commit(made, failure)) {
        abandon(made);
        MEMORY_FREE(made);
        return false;
    }
    *empty = !fresh;
    *schedule = made;
    return true;
}

void schedule_close(struct schedule **schedule) {
    struct schedule *closing = *schedule;
    if (!closing) return;
    *schedule = NULL;
    if (schedule_commit(closing, NULL) && mdb_env_sync(closing->environment, 1) == 0 &&
        set_meta(closing, STR("state"), STR("closed"), NULL) && schedule_commit(closing, NULL))
        mdb_env_sync(closing->environment, 1);
    abandon(closing);
    MEMORY_FREE(closing);
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

bool schedule_put(struct schedule *schedule, struct str queue_id, int64_t when, struct str sites, struct failure *failure) {
    if (!begin(schedule, failure)) return false;
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
    if (!begin(schedule, failure)) return false;
    int code = drop(schedule, queue_id);
    return code == 0 || lmdb_failure(failure, code, "cannot remove");
}

bool schedule_next(struct schedule *schedule, int64_t *when, char queue_id[24], struct str *sites) {
    if (!begin(schedule, NULL)) return false;
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
    if (!begin(schedule, NULL)) return false;
    MDB_val key = value_of(queue_id), date;
    if (mdb_get(schedule->transaction, schedule->by_id, &key, &date) != 0 || date.mv_size != 8) return false;
    *when = date_of_key(date.mv_data);
    return true;
}

size_t schedule_count(struct schedule *schedule) {
    return schedule->count;
}
