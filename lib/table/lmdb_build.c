/* Making an LMDB file beside the old one and renaming it over. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "hash.h"
#include "lmdb_build.h"
#include "memory.h"
#include "table.h"

/* LMDB's own limit (mdb_env_get_maxkeysize), with room for a NUL. */
#define KEY_MAX 510

struct entry {
    char *value;
    size_t value_length;
    size_t line;
};

struct lmdb_build {
    struct map *entries;
    struct buf path;
    size_t name_start; /* offset of the file's name in path */
    int directory;     /* locked while the build lasts */
};

/* What goes into one file: sorted, with the sizes known. */
struct row {
    struct str key;
    const struct entry *entry;
};

struct writing {
    struct row *rows;
    size_t count;
    size_t map_size;
    bool with_nul;
    const char *temporary;
};

static bool lock_directory(struct lmdb_build *build, struct failure *failure) {
    struct str path = buf_str(&build->path);
    size_t slash = str_find_last(path, '/');
    struct str directory = slash == STR_NONE ? STR(".") : slash == 0 ? STR("/") : str_slice(path, 0, slash);
    build->name_start = slash == STR_NONE ? 0 : slash + 1;
    char *name = memory_copy_string(directory);
    build->directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    MEMORY_FREE(name);
    if (build->directory < 0) return failure_set_errno(failure, error, "open %.*s", STR_ARGS(directory));
    while (flock(build->directory, LOCK_EX) != 0)
        if (errno != EINTR) return failure_set_errno(failure, errno, "lock %.*s", STR_ARGS(directory));
    return true;
}

static bool keep_entry(void *context, struct str key, struct str value) {
    (void)!lmdb_build_put(context, key, value, 0, false, NULL);
    return true;
}

static bool keep_present(struct lmdb_build *build, struct failure *failure) {
    struct buf type_name = {0};
    struct str path = buf_str(&build->path);
    buf_append(&type_name, STR("lmdb:"));
    buf_append(&type_name, str_slice(path, 0, path.length - STR(".lmdb").length));
    struct table *present = NULL;
    bool done = table_open(buf_str(&type_name), 0, &present, failure) &&
                table_each(present, keep_entry, build, failure);
    table_close(&present);
    buf_free(&type_name);
    return done;
}

bool lmdb_build_start(struct str path, bool keep, struct lmdb_build **build, struct failure *failure) {
    if (!str_ends(path, STR(".lmdb"))) return failure_set(failure, "%.*s does not end in .lmdb", STR_ARGS(path));
    struct lmdb_build *result = MEMORY_NEW(struct lmdb_build);
    result->directory = -1;
    result->entries = map_create();
    buf_append(&result->path, path);
    if (!lock_directory(result, failure) || (keep && !keep_present(result, failure))) {
        lmdb_build_free(&result);
        return false;
    }
    *build = result;
    return true;
}

static void entry_free(struct entry *entry) {
    if (entry == NULL) return;
    MEMORY_FREE(entry->value);
    MEMORY_FREE(entry);
}

enum lmdb_build_put lmdb_build_put(struct lmdb_build *build, struct str key, struct str value, size_t line,
                                   bool replace, size_t *line_of_first) {
    if (key.length == 0 || key.length > KEY_MAX) return LMDB_BUILD_KEY_LENGTH;
    const struct entry *present = map_get(build->entries, key);
    if (present != NULL && line_of_first != NULL) *line_of_first = present->line;
    if (present != NULL && !replace) return LMDB_BUILD_DUPLICATE;
    struct entry *entry = MEMORY_NEW(struct entry);
    entry->value = memory_copy_string(value);
    entry->value_length = value.length;
    entry->line = line;
    struct entry *before = map_put(build->entries, key, entry);
    entry_free(before);
    return before == NULL ? LMDB_BUILD_NEW : LMDB_BUILD_DUPLICATE;
}

bool lmdb_build_delete(struct lmdb_build *build, struct str key) {
    struct entry *entry = map_remove(build->entries, key);
    entry_free(entry);
    return entry != NULL;
}

size_t lmdb_build_count(const struct lmdb_build *build) { return map_count(build->entries); }

static int compare_rows(const void *a, const void *b) {
    const struct row *left = a;
    const struct row *right = b;
    return str_compare(left->key, right->key);
}

static void collect(const struct lmdb_build *build, struct writing *writing) {
    size_t count = map_count(build->entries);
    size_t cursor = 0;
    struct str key;
    void *value;
    writing->rows = memory_allocate(count + 1, sizeof(struct row));
    size_t bytes = 0;
    while (writing->count < count && map_next(build->entries, &cursor, &key, &value)) {
        const struct entry *entry = value;
        writing->rows[writing->count++] = (struct row){.key = key, .entry = entry};
        bytes += key.length + entry->value_length + 32;
    }
    qsort(writing->rows, writing->count, sizeof(struct row), compare_rows);
    /* Values over half a page take whole pages: at most three times their bytes. */
    writing->map_size = (bytes / 4096 + 1) * 4096 * 3 + ((size_t)1 << 20);
}

static int put_rows(MDB_env *environment, const struct writing *writing) {
    MDB_txn *transaction = NULL;
    MDB_dbi database;
    int error = mdb_txn_begin(environment, NULL, 0, &transaction);
    if (error != 0) return error;
    error = mdb_dbi_open(transaction, NULL, 0, &database);
    for (size_t i = 0; error == 0 && i < writing->count; i++) {
        const struct row *row = &writing->rows[i];
        size_t nul = writing->with_nul ? 1 : 0;
        /* A copy, because -N wants a NUL behind it. */
        char key[KEY_MAX + 1];
        memcpy(key, row->key.data, row->key.length);
        key[row->key.length] = '\0';
        MDB_val name = {.mv_size = row->key.length + nul, .mv_data = key};
        MDB_val data = {.mv_size = row->entry->value_length + nul, .mv_data = row->entry->value};
        error = mdb_put(transaction, database, &name, &data, 0);
    }
    if (error != 0) {
        mdb_txn_abort(transaction);
        return error;
    }
    return mdb_txn_commit(transaction);
}

/* Writes all rows into the empty temporary file. */
static int write_environment(const struct writing *writing) {
    MDB_env *environment = NULL;
    int error = mdb_env_create(&environment);
    if (error == 0) error = mdb_env_set_mapsize(environment, writing->map_size);
    if (error == 0)
        error = mdb_env_open(environment, writing->temporary, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
    if (error == 0) error = put_rows(environment, writing);
    if (environment != NULL) mdb_env_close(environment);
    return error;
}

static bool fill(int descriptor, struct writing *writing, struct failure *failure) {
    for (;;) {
        int error = write_environment(writing);
        if (error == 0) return true;
        if (error == MDB_MAP_FULL && writing->map_size < SIZE_MAX / 4) {
            writing->map_size *= 2;
            if (ftruncate(descriptor, 0) == 0) continue;
            error = errno;
        }
        if (error > 0) return failure_set_errno(failure, error, "write %s", writing->temporary);
        return failure_set(failure, "write %s: %s", writing->temporary, mdb_strerror(error));
    }
}

/* Owner before mode: chown clears bits, and no moment may show more than asked. */
static bool finish(const struct lmdb_build *build, int descriptor, const char *temporary, mode_t mode, uid_t owner,
                   gid_t group, struct failure *failure) {
    if ((owner != (uid_t)-1 || group != (gid_t)-1) && fchown(descriptor, owner, group) != 0)
        return failure_set_errno(failure, errno, "chown %s", temporary);
    if (fchmod(descriptor, mode) != 0) return failure_set_errno(failure, errno, "chmod %s", temporary);
    if (fsync(descriptor) != 0) return failure_set_errno(failure, errno, "sync %s", temporary);
    if (rename(temporary, buf_string(&build->path)) != 0)
        return failure_set_errno(failure, errno, "rename %s to %s", temporary, buf_string(&build->path));
    if (fsync(build->directory) != 0)
        return failure_set_errno(failure, errno, "sync the directory of %s", buf_string(&build->path));
    return true;
}

static bool temporary_name(const struct lmdb_build *build, struct buf *name, struct failure *failure) {
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return failure_set_errno(failure, errno, "getrandom");
    struct str path = buf_str(&build->path);
    return buf_append(name, str_slice(path, 0, build->name_start)) &&
           buf_printf(name, ".%.*s.%016llx.tmp", STR_ARGS(str_from_offset(path, build->name_start)),
                      (unsigned long long)random);
}

bool lmdb_build_commit(struct lmdb_build *build, mode_t mode, uid_t owner, gid_t group, bool with_nul,
                       struct failure *failure) {
    struct buf temporary = {0};
    struct writing writing = {.with_nul = with_nul};
    bool done = temporary_name(build, &temporary, failure);
    if (done) {
        writing.temporary = buf_string(&temporary);
        int descriptor = open(writing.temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (descriptor < 0) {
            done = failure_set_errno(failure, errno, "create %s", writing.temporary);
        } else {
            collect(build, &writing);
            done = fill(descriptor, &writing, failure) &&
                   finish(build, descriptor, writing.temporary, mode, owner, group, failure);
            if (!done) (void)unlink(writing.temporary);
            (void)close(descriptor);
        }
    }
    MEMORY_FREE(writing.rows);
    buf_free(&temporary);
    return done;
}

void lmdb_build_free(struct lmdb_build **build) {
    if (*build == NULL) return;
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next((*build)->entries, &cursor, &key, &value)) entry_free(value);
    map_destroy(&(*build)->entries);
    buf_free(&(*build)->path);
    if ((*build)->directory >= 0) (void)close((*build)->directory);
    MEMORY_FREE(*build);
}
