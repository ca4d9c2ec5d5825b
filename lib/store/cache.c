/* The cache: what was parsed once, in LMDB, one environment a user. It may be deleted at any time.
 *
 * It is not synced: it bears the boot's identity and is thrown away when another boot finds it (LMDB checks no sums).
 * Whatever goes wrong with it is no error, only slower. */
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_root.h"

#define CACHE_DEFAULT ((uint64_t)1 << 30)
#define KEY_SIZE      21
#define BLOCK_KEY     25
#define FLUSH_AT      ((size_t)4 << 20)
#define VALUE_MAX     ((size_t)1 << 20)

struct cache {
    MDB_env *environment;
    MDB_dbi database;
    MDB_txn *reading;
    MDB_cursor *cursor; /* of reading: neighbours are found from where it stands */
    uint64_t readings;  /* that have ended */
    struct buf pending; /* key's length (1), key, length (4), value, ... */
};

static void make_key(uint8_t key[KEY_SIZE], const uint8_t folder_id[16], uint32_t uid, enum cache_kind kind) {
    memcpy(key, folder_id, 16);
    for (int i = 0; i < 4; i++)
        key[16 + i] = (uint8_t)(uid >> (24 - 8 * i)); /* in the order of UIDs */
    key[20] = (uint8_t)kind;
}

/* No message has UID 0: blocks come before a folder's messages. */
static void make_block_key(uint8_t key[BLOCK_KEY], const uint8_t folder_id[16], unsigned kind, uint32_t number) {
    make_key(key, folder_id, 0, (enum cache_kind)kind);
    for (int i = 0; i < 4; i++)
        key[KEY_SIZE + i] = (uint8_t)(number >> (24 - 8 * i));
}

/* Whether the files in the directory are of this boot; if not they are removed. */
static bool claim_directory(int directory, struct str boot) {
    char text[80];
    int mark = openat(directory, "boot", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (mark < 0) return false;
    ssize_t length = pread(mark, text, sizeof text, 0);
    bool same = length >= 0 && str_equal(str_make(text, (size_t)length), boot);
    if (!same) {
        unlinkat(directory, "data.mdb", 0);
        unlinkat(directory, "lock.mdb", 0);
        same = ftruncate(mark, 0) == 0 && pwrite(mark, boot.data, boot.length, 0) == (ssize_t)boot.length;
    }
    close(mark);
    return same;
}

static bool open_database(struct cache *cache) {
    MDB_txn *transaction = NULL;
    if (mdb_txn_begin(cache->environment, NULL, 0, &transaction) != 0) return false;
    if (mdb_dbi_open(transaction, NULL, 0, &cache->database) == 0) return mdb_txn_commit(transaction) == 0;
    mdb_txn_abort(transaction);
    return false;
}

static bool open_environment(struct cache *cache, const struct store_options *options) {
    uint64_t limit = options->cache_limit ? options->cache_limit : CACHE_DEFAULT;
    return mdb_env_create(&cache->environment) == 0 && mdb_env_set_mapsize(cache->environment, (size_t)limit) == 0 &&
           mdb_env_open(cache->environment, options->cache.data, MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD, 0600) == 0 &&
           open_database(cache);
}

/* What LMDB does not take for its own is thrown away, and a new one is made. */
static struct cache *cache_open(const struct store_options *options) {
    struct cache *cache = MEMORY_NEW(struct cache);
    const char *path = options->cache.data;
    bool good = mkdir(path, 0700) == 0 || errno == EEXIST;
    int directory = good ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
    good = directory >= 0 && claim_directory(directory, options->boot);
    for (int attempt = 0; good && attempt < 2; attempt++) {
        if (open_environment(cache, options)) break;
        if (cache->environment) mdb_env_close(cache->environment);
        cache->environment = NULL;
        good = attempt == 0 && unlinkat(directory, "data.mdb", 0) == 0;
    }
    if (directory >= 0) close(directory);
    if (!good) cache_close(&cache);
    return cache;
}

static void end_reading(struct cache *cache) {
    if (cache->cursor) mdb_cursor_close(cache->cursor);
    if (cache->reading) mdb_txn_abort(cache->reading);
    cache->readings += cache->reading != NULL;
    cache->cursor = NULL;
    cache->reading = NULL;
}

static bool begin_reading(struct cache *cache) {
    if (cache->reading) return true;
    if (mdb_txn_begin(cache->environment, NULL, MDB_RDONLY, &cache->reading) != 0) {
        cache->reading = NULL;
        return false;
    }
    if (mdb_cursor_open(cache->reading, cache->database, &cache->cursor) == 0) return true;
    cache->cursor = NULL;
    end_reading(cache);
    return false;
}

void cache_close(struct cache **cache) {
    if (!*cache) return;
    end_reading(*cache);
    if ((*cache)->environment) mdb_env_close((*cache)->environment);
    buf_free(&(*cache)->pending);
    MEMORY_FREE(*cache);
}

static struct cache *cache_of(struct store *store) {
    if (store->cache || store->cache_failed) return store->cache;
    bool wanted = store->options.cache.length > 0 && store->options.boot.length > 0;
    store->cache = wanted ? cache_open(&store->options) : NULL;
    store->cache_failed = !store->cache;
    return store->cache;
}

static bool find(struct cache *cache, struct str *key, MDB_cursor_op how, struct str *value) {
    MDB_val wanted = {key->length, (void *)(uintptr_t)key->data}, found;
    if (!cache || !begin_reading(cache) || mdb_cursor_get(cache->cursor, &wanted, &found, how) != 0) return false;
    *key = str_make(wanted.mv_data, wanted.mv_size);
    *value = str_make(found.mv_data, found.mv_size);
    return true;
}

bool cache_get(struct store *store, const uint8_t folder_id[16], uint32_t uid, enum cache_kind kind,
               struct str *value) {
    uint8_t bytes[KEY_SIZE];
    make_key(bytes, folder_id, uid, kind);
    struct str key = str_make((const char *)bytes, sizeof bytes);
    return find(cache_of(store), &key, MDB_SET, value);
}

bool cache_get_block(struct store *store, const uint8_t folder_id[16], unsigned kind, uint32_t number,
                     struct str *value) {
    uint8_t bytes[BLOCK_KEY];
    make_block_key(bytes, folder_id, kind, number);
    struct str key = str_make((const char *)bytes, sizeof bytes);
    return find(cache_of(store), &key, MDB_SET, value);
}

bool cache_next_block(struct store *store, const uint8_t folder_id[16], unsigned kind, uint32_t *number,
                      struct str *value) {
    uint8_t bytes[BLOCK_KEY];
    make_block_key(bytes, folder_id, kind, *number);
    struct str key = str_make((const char *)bytes, sizeof bytes), got;
    if (!find(cache_of(store), &key, MDB_SET_RANGE, &got)) return false;
    if (key.length != BLOCK_KEY || memcmp(key.data, bytes, KEY_SIZE) != 0) return false;
    *number = 0;
    for (size_t i = KEY_SIZE; i < BLOCK_KEY; i++)
        *number = *number << 8 | (uint8_t)key.data[i];
    *value = got;
    return true;
}

bool cache_is_there(struct store *store) {
    return cache_of(store) != NULL;
}

uint64_t cache_reading(const struct store *store) {
    return store->cache ? store->cache->readings : 0;
}

void cache_end(struct store *store) {
    if (store->cache) end_reading(store->cache);
}

static void remember(struct cache *cache, const uint8_t *key, uint8_t key_length, struct str value) {
    uint32_t length = (uint32_t)value.length;
    if (!cache || value.length > VALUE_MAX) return;
    buf_append_bytes(&cache->pending, &key_length, sizeof key_length);
    buf_append_bytes(&cache->pending, key, key_length);
    buf_append_bytes(&cache->pending, &length, sizeof length);
    buf_append(&cache->pending, value);
}

void cache_put(struct store *store, const uint8_t folder_id[16], uint32_t uid, enum cache_kind kind, struct str value) {
    uint8_t key[KEY_SIZE];
    make_key(key, folder_id, uid, kind);
    remember(cache_of(store), key, sizeof key, value);
}

void cache_put_block(struct store *store, const uint8_t folder_id[16], unsigned kind, uint32_t number,
                     struct str value) {
    uint8_t key[BLOCK_KEY];
    make_block_key(key, folder_id, kind, number);
    remember(cache_of(store), key, sizeof key, value);
}

bool cache_is_heavy(const struct store *store) {
    return store->cache && store->cache->pending.length > FLUSH_AT;
}

static int write_one(struct cache *cache, MDB_txn *transaction, struct str key_bytes, struct str value_bytes) {
    MDB_val key = {key_bytes.length, (void *)(uintptr_t)key_bytes.data};
    MDB_val value = {value_bytes.length, (void *)(uintptr_t)value_bytes.data};
    if (key.mv_size == KEY_SIZE || value.mv_size > 0) return mdb_put(transaction, cache->database, &key, &value, 0);
    int trouble = mdb_del(transaction, cache->database, &key, NULL);
    return trouble == MDB_NOTFOUND ? 0 : trouble;
}

static int write_pending(struct cache *cache, MDB_txn *transaction) {
    struct str rest = buf_str(&cache->pending);
    int trouble = 0;
    while (trouble == 0 && rest.length > 0) {
        size_t key_length = (uint8_t)rest.data[0];
        uint32_t length;
        memcpy(&length, rest.data + 1 + key_length, sizeof length);
        struct str value = str_slice(rest, 5 + key_length, 5 + key_length + (size_t)length);
        trouble = write_one(cache, transaction, str_slice(rest, 1, 1 + key_length), value);
        rest = str_from_offset(rest, 5 + key_length + (size_t)length);
    }
    return trouble;
}

/* Full: begin anew. What is asked for most is soon there again. */
static void empty_database(struct cache *cache) {
    MDB_txn *transaction = NULL;
    if (mdb_txn_begin(cache->environment, NULL, 0, &transaction) != 0) return;
    if (mdb_drop(transaction, cache->database, 0) == 0)
        mdb_txn_commit(transaction);
    else
        mdb_txn_abort(transaction);
}

void cache_flush(struct store *store) {
    struct cache *cache = store->cache;
    MDB_txn *transaction = NULL;
    if (!cache || cache->pending.length == 0) return;
    cache_end(store); /* a reader that stays would keep old pages from being used again */
    if (mdb_txn_begin(cache->environment, NULL, 0, &transaction) == 0) {
        int trouble = write_pending(cache, transaction);
        if (trouble == 0)
            trouble = mdb_txn_commit(transaction);
        else
            mdb_txn_abort(transaction);
        if (trouble == MDB_MAP_FULL) empty_database(cache);
    }
    buf_clear(&cache->pending);
}

void cache_forget(struct store *store, const uint8_t folder_id[16], uint32_t uid) {
    struct cache *cache = cache_of(store);
    static const enum cache_kind kinds[] = {CACHE_STRUCTURE, CACHE_HEADER, CACHE_PREVIEW};
    MDB_txn *transaction = NULL;
    if (!cache) return;
    cache_end(store);
    if (mdb_txn_begin(cache->environment, NULL, 0, &transaction) != 0) return;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        uint8_t bytes[KEY_SIZE];
        make_key(bytes, folder_id, uid, kinds[i]);
        MDB_val key = {KEY_SIZE, bytes};
        mdb_del(transaction, cache->database, &key, NULL);
    }
    mdb_txn_commit(transaction);
}
