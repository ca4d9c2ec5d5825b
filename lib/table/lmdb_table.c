/* lmdb (and hash, btree): the file that ternmap made, read-only.
 *
 * ternmap never changes a file, it renames a new one over it (lmdb_build.h); so
 * the file is opened without locks, needs no lock file beside it, and stays what
 * it was until table_changed says that the name means another one. Values are
 * copied out: nothing points into the map. */
#include <errno.h>
#include <lmdb.h>
#include <sys/stat.h>

#include "memory.h"
#include "table_types.h"

struct lmdb_table {
    MDB_env *environment;
    MDB_txn *transaction; /* reset between lookups */
    MDB_dbi database;
    size_t key_max;
    char *path;
    struct table_stamp stamp;
};

static void lmdb_close(void *state) {
    struct lmdb_table *table = state;
    if (table->transaction != NULL) mdb_txn_abort(table->transaction);
    if (table->environment != NULL) mdb_env_close(table->environment);
    MEMORY_FREE(table->path);
    MEMORY_FREE(table);
}

static bool lmdb_changed(const void *state) {
    const struct lmdb_table *table = state;
    return table_stamp_changed(table->path, &table->stamp);
}

/* A file shorter than its own header says (a full disk, a copy cut off) would be
 * SIGBUS when the map is read there. */
static bool check_size(struct lmdb_table *table, struct failure *failure) {
    MDB_envinfo info;
    MDB_stat database;
    struct stat file;
    mdb_filehandle_t descriptor;
    int error = mdb_env_info(table->environment, &info);
    if (error == 0) error = mdb_env_stat(table->environment, &database);
    if (error == 0) error = mdb_env_get_fd(table->environment, &descriptor);
    if (error != 0) return failure_set(failure, "%s: %s", table->path, mdb_strerror(error));
    if (fstat(descriptor, &file) != 0) return failure_set_errno(failure, errno, "stat %s", table->path);
    if ((uint64_t)file.st_size < (uint64_t)(info.me_last_pgno + 1) * database.ms_psize)
        return failure_set(failure, "%s: the file is cut off; make it anew with ternmap", table->path);
    struct table_stamp now = table_stamp_of(str_from(table->path));
    table->stamp = now;
    /* Renamed over since it was opened: never equal, so opened anew soon. */
    if (now.inode != file.st_ino || now.device != file.st_dev) table->stamp.inode = file.st_ino;
    table->stamp.exists = true;
    return true;
}

static bool open_file(struct lmdb_table *table, struct failure *failure) {
    int error = mdb_env_create(&table->environment);
    if (error == 0)
        error = mdb_env_open(table->environment, table->path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0);
    if (error == ENOENT)
        return failure_set_errno(failure, ENOENT, "open %s (made by ternmap or ternalias)", table->path);
    if (error > 0) return failure_set_errno(failure, error, "open %s", table->path);
    if (error != 0) return failure_set(failure, "%s: %s", table->path, mdb_strerror(error));
    if (!check_size(table, failure)) return false;
    error = mdb_txn_begin(table->environment, NULL, MDB_RDONLY, &table->transaction);
    if (error == 0) error = mdb_dbi_open(table->transaction, NULL, 0, &table->database);
    if (error != 0) return failure_set(failure, "%s: %s", table->path, mdb_strerror(error));
    table->key_max = (size_t)mdb_env_get_maxkeysize(table->environment);
    mdb_txn_reset(table->transaction);
    return true;
}

bool table_lmdb_path(struct str name, struct buf *path) {
    return buf_append(path, name) && buf_append(path, STR(".lmdb"));
}

/* Files made with ternmap -N, or by old programs, have a NUL after keys and values. */
static struct str without_nul(const MDB_val *data) {
    struct str s = str_make(data->mv_data, data->mv_size);
    if (s.length > 0 && s.data[s.length - 1] == '\0') s.length--;
    return s;
}

static int get(struct lmdb_table *table, struct str key, MDB_val *data) {
    char with_nul[1024];
    MDB_val wanted = {.mv_size = key.length, .mv_data = with_nul};
    if (key.length == 0 || key.length > table->key_max || key.length >= sizeof with_nul) return MDB_NOTFOUND;
    memcpy(with_nul, key.data, key.length);
    with_nul[key.length] = '\0';
    int error = mdb_get(table->transaction, table->database, &wanted, data);
    if (error != MDB_NOTFOUND || key.length == table->key_max) return error;
    wanted.mv_size = key.length + 1;
    return mdb_get(table->transaction, table->database, &wanted, data);
}

static enum table_result lmdb_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    struct lmdb_table *table = state;
    MDB_val data;
    enum table_result result = TABLE_RETRY;
    int error = mdb_txn_renew(table->transaction);
    if (error == 0) {
        error = get(table, key, &data);
        if (error == 0) result = table_give(without_nul(&data), value, failure);
        mdb_txn_reset(table->transaction);
    }
    if (error == MDB_NOTFOUND) return TABLE_ABSENT;
    if (error != 0) (void)failure_set(failure, "%s: %s", table->path, mdb_strerror(error));
    return result;
}

static bool lmdb_each(void *state, bool (*each)(void *context, struct str key, struct str value), void *context,
                      struct failure *failure) {
    struct lmdb_table *table = state;
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val data;
    int error = mdb_txn_renew(table->transaction);
    if (error != 0) return failure_set(failure, "%s: %s", table->path, mdb_strerror(error));
    error = mdb_cursor_open(table->transaction, table->database, &cursor);
    while (error == 0) {
        error = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
        if (error == 0 && !each(context, without_nul(&key), without_nul(&data))) break;
    }
    if (cursor != NULL) mdb_cursor_close(cursor);
    mdb_txn_reset(table->transaction);
    if (error == 0 || error == MDB_NOTFOUND) return true;
    return failure_set(failure, "%s: %s", table->path, mdb_strerror(error));
}

bool table_lmdb_open(const struct table_request *request, const struct table_methods **methods, void **state,
                     struct failure *failure) {
    static const struct table_methods lmdb_methods = {
        .lookup = lmdb_lookup, .close = lmdb_close, .changed = lmdb_changed, .each = lmdb_each, .fixed_keys = true};
    if (request->text != NULL) return failure_set(failure, "this type has no text form");
    struct buf path = {0};
    if (!table_lmdb_path(request->name, &path)) return failure_set(failure, "the name is too long");
    struct lmdb_table *table = MEMORY_NEW(struct lmdb_table);
    table->path = memory_copy_string(buf_str(&path));
    buf_free(&path);
    if (!open_file(table, failure)) {
        lmdb_close(table);
        return false;
    }
    *state = table;
    *methods = &lmdb_methods;
    return true;
}
