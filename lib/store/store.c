/* See store.h: opening, and what its files need. store_tree.c has the tree, store_quota.c quotas, cache.c the cache. */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define SMALL_FILE_MAX ((size_t)4 << 20)

int store_directory(const struct store *store) {
    return store->root;
}

struct str store_host(const struct store *store) {
    return store->options.host;
}

/* ---- small files */

bool store_read_file(const struct store *store, const char *name, struct buf *text, struct failure *failure) {
    int file = openat(store->root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return errno == ENOENT || failure_set_errno(failure, errno, "cannot open %s", name);
    for (;;) {
        char *room = buf_reserve(text, 65536);
        ssize_t got = room ? read(file, room, 65536) : 0;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) failure_set_errno(failure, errno, "cannot read %s", name);
        if (got <= 0 || text->length + (size_t)got > SMALL_FILE_MAX) {
            close(file);
            return got == 0 || (got > 0 && failure_set(failure, "%s is too large", name));
        }
        buf_commit(text, (size_t)got);
    }
}

static bool write_all(int file, struct str text) {
    while (text.length > 0) {
        ssize_t written = write(file, text.data, text.length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text = str_from_offset(text, (size_t)written);
    }
    return true;
}

bool store_write_file(const struct store *store, const char *name, struct str text, struct failure *failure) {
    char beside[64];
    snprintf(beside, sizeof beside, "%s.new", name);
    int file = openat(store->root, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return failure_set_errno(failure, errno, "cannot make %s", beside);
    bool good = write_all(file, text) && fsync(file) == 0 && renameat(store->root, beside, store->root, name) == 0 &&
                fsync(store->root) == 0;
    int error_number = errno;
    close(file);
    return good || failure_set_errno(failure, error_number, "cannot write %s", name);
}

int store_lock(const struct store *store, struct failure *failure) {
    int lock = openat(store->root, "tern-store-lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = -1;
    while (lock >= 0 && (result = flock(lock, LOCK_EX)) < 0 && errno == EINTR)
        continue;
    if (lock >= 0 && result == 0) return lock;
    failure_set_errno(failure, errno, "cannot lock the mailboxes");
    if (lock >= 0) close(lock);
    return -1;
}

/* least 0: the next one, else one that is at least this. *validity: what the file says now. */
static bool raise_validity(struct store *store, uint32_t least, uint32_t *validity, struct failure *failure) {
    struct buf text = buf_make(0);
    uint64_t last = 0, now = (uint64_t)time(NULL);
    int lock = store_lock(store, failure);
    bool good = lock >= 0 && store_read_file(store, "tern-uidvalidity", &text, failure);
    if (good && !str_to_u64(str_trim(buf_str(&text)), UINT32_MAX - 1, &last)) last = 0;
    uint64_t next = least > 0 ? (least > last ? least : last) : now > last ? now : last + 1;
    buf_clear(&text);
    buf_printf(&text, "%llu\n", (unsigned long long)next);
    if (next != last) good = good && store_write_file(store, "tern-uidvalidity", buf_str(&text), failure);
    if (lock >= 0) close(lock);
    buf_free(&text);
    if (good) *validity = (uint32_t)next;
    return good;
}

bool store_next_validity(struct store *store, uint32_t *validity, struct failure *failure) {
    return raise_validity(store, 0, validity, failure);
}

bool store_note_validity(struct store *store, uint32_t validity, struct failure *failure) {
    uint32_t ignored;
    /* The highest that there is leaves no room above it. */
    return validity == UINT32_MAX || raise_validity(store, validity, &ignored, failure);
}

/* ---- opening */

bool store_make_folder(int directory, bool is_root, struct failure *failure) {
    static const char *const parts[] = {"tmp", "new", "cur"};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (mkdirat(directory, parts[i], 0700) < 0 && errno != EEXIST)
            return failure_set_errno(failure, errno, "cannot make a mailbox's %s", parts[i]);
    if (is_root) return true;
    int file = openat(directory, "maildirfolder", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return failure_set_errno(failure, errno, "cannot make a mailbox");
    close(file);
    return true;
}

static bool copy_options(struct store *store, const struct store_options *options) {
    store->options = *options;
    return arena_copy(store->texts, options->root, &store->options.root) &&
           arena_copy(store->texts, options->cache, &store->options.cache) &&
           arena_copy(store->texts, options->boot, &store->options.boot) &&
           arena_copy(store->texts, options->host, &store->options.host) &&
           arena_copy(store->texts, options->auto_folders, &store->options.auto_folders);
}

/* "Name:\Use" words: made and subscribed when the INBOX is first made. */
static bool make_auto_folders(struct store *store, struct failure *failure) {
    struct str rest = store->options.auto_folders, word;
    while (str_next_word(&rest, " ,\t\r\n", &word)) {
        struct str name = word, use = STR_EMPTY;
        (void)str_cut(word, ':', &name, &use);
        enum store_result result = store_create(store, name, store_special_from(use), NULL, failure);
        if (result != STORE_OK && result != STORE_EXISTS) return false;
        if (store_subscribe(store, name, true, failure) != STORE_OK) return false;
    }
    return true;
}

static bool open_root(struct store *store, bool *made, struct failure *failure) {
    const char *path = store->options.root.data; /* arena_copy ends it in NUL */
    *made = false;
    store->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->root < 0 && errno == ENOENT && store->options.create) {
        if (mkdir(path, 0700) < 0 && errno != EEXIST) return failure_set_errno(failure, errno, "cannot make the mailbox");
        store->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (store->root < 0) return failure_set_errno(failure, errno, "cannot open the mailbox");
    if (faccessat(store->root, "cur", F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
    if (!store->options.create) return failure_set(failure, "there is no mailbox");
    *made = true;
    return store_make_folder(store->root, true, failure);
}

struct store *store_open(const struct store_options *options, struct failure *failure) {
    struct store *store = MEMORY_NEW(struct store);
    bool made;
    store->root = -1;
    store->texts = arena_create(0);
    if (copy_options(store, options) && open_root(store, &made, failure) && (!made || make_auto_folders(store, failure)) &&
        (!store_is_foreign(store) || store_take_over(store, failure)))
        return store;
    store_close(&store);
    return NULL;
}

void store_close(struct store **store) {
    struct store *gone = *store;
    if (!gone) return;
    store_drop_target(gone);
    if (gone->cache) cache_close(&gone->cache);
    if (gone->root >= 0) close(gone->root);
    arena_destroy(&gone->texts);
    MEMORY_FREE(*store);
}

int store_folder_directory(struct store *store, struct str name, enum store_result *result, struct failure *failure) {
    struct buf path = buf_make(0);
    int directory = -1;
    *result = STORE_MISSING;
    if (store_name_to_directory(name, &path)) {
        if (path.length == 0) buf_append_char(&path, '.');
        directory = openat(store->root, buf_string(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (directory < 0 && errno != ENOENT && errno != ENOTDIR) *result = STORE_BROKEN;
        if (directory < 0) failure_set_errno(failure, errno, "cannot open the mailbox");
    } else {
        failure_set(failure, "no mailbox can have that name");
    }
    buf_free(&path);
    if (directory >= 0) *result = STORE_OK;
    return directory;
}

bool store_folder_is(const struct store *store, struct str name, int directory) {
    struct buf path = buf_make(0);
    struct stat there, here;
    bool same = store_name_to_directory(name, &path);
    if (path.length == 0) buf_append_char(&path, '.');
    same = same && fstatat(store->root, buf_string(&path), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(directory, &here) == 0 && there.st_dev == here.st_dev && there.st_ino == here.st_ino;
    buf_free(&path);
    return same;
}
