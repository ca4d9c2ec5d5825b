/* A tree that Dovecot had, taken over: its directories and subscriptions are named in modified UTF-7, ours in UTF-8
 * (store_name.h). Done once, before tern's first file is in the INBOX; what was done is passed over if a crash makes it
 * begin again. A tree that Dovecot kept in UTF-8 (":UTF-8") stays as it is. */
#include "store_import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mutf7.h"
#include "store_name.h"
#include "store_root.h"

#define FOLDERS_MAX 100000U

static bool is_there(const struct store *store, const char *name) {
    return faccessat(store->root, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool store_is_foreign(const struct store *store) {
    return !is_there(store, "tern-mailbox") && is_there(store, "dovecot-uidlist");
}

/* A name as Dovecot wrote it, with this between levels, in UTF-8 and with '/'. False: it is none, or no mailbox's. */
static bool decode_name(struct str written, char between, struct buf *name) {
    struct buf levels = buf_make(0);
    buf_clear(name);
    buf_append(&levels, written);
    for (size_t i = 0; i < levels.length; i++)
        if (levels.data[i] == between) levels.data[i] = '/';
    bool good = mutf7_decode(name, buf_str(&levels)) && store_name_is_valid(buf_str(name));
    buf_free(&levels);
    return good;
}

/* The directory that a folder of Dovecot's should have; false: the one it has. */
static bool better_directory(const char *directory, struct buf *name, struct buf *better) {
    struct str written = str_from(directory);
    buf_clear(better);
    return written.length > 1 && written.data[0] == '.' && written.data[1] != '.' &&
           decode_name(str_from_offset(written, 1), '.', name) && !store_name_is_inbox(buf_str(name)) &&
           store_name_to_directory(buf_str(name), better) && !str_equal(buf_str(better), written);
}

/* Directories that are to be renamed, each ended by a NUL: listing and renaming at once would meet some twice. */
static bool list_directories(const struct store *store, struct buf *found, struct failure *failure) {
    int copy = openat(store->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    struct buf name = buf_make(0), better = buf_make(0);
    unsigned count = 0;
    if (!directory) {
        if (copy >= 0) close(copy);
        return failure_set_errno(failure, errno, "cannot list the mailboxes");
    }
    for (struct dirent *entry; count < FOLDERS_MAX && (entry = readdir(directory));) {
        if (!better_directory(entry->d_name, &name, &better)) continue;
        buf_append_bytes(found, entry->d_name, strlen(entry->d_name) + 1);
        count++;
    }
    closedir(directory);
    buf_free(&name);
    buf_free(&better);
    return true;
}

static bool rename_directories(const struct store *store, struct failure *failure) {
    struct buf found = buf_make(0), name = buf_make(0), better = buf_make(0);
    bool good = list_directories(store, &found, failure);
    struct str rest = buf_str(&found), one;
    while (good && str_cut(rest, '\0', &one, &rest)) {
        /* One of that name beside it stays what it is, and so does this one. */
        if (better_directory(one.data, &name, &better) &&
            renameat2(store->root, one.data, store->root, buf_string(&better), RENAME_NOREPLACE) < 0 &&
            errno != EEXIST && errno != ENOENT)
            good = failure_set_errno(failure, errno, "cannot rename the mailbox %s", one.data);
    }
    good = good && (found.length == 0 || fsync(store->root) == 0 ||
                    failure_set_errno(failure, errno, "cannot sync the mailboxes"));
    buf_free(&found);
    buf_free(&name);
    buf_free(&better);
    return good;
}

static bool rewrite_subscriptions(const struct store *store, struct failure *failure) {
    struct buf text = buf_make(0), written = buf_make(0), name = buf_make(0);
    bool good = store_read_file(store, "subscriptions", &text, failure);
    struct str rest = buf_str(&text), line;
    bool tabs = str_starts(rest, STR("V\t")), first = true;
    while (good && str_cut(rest, '\n', &line, &rest)) {
        bool version = first && tabs;
        first = false;
        if (version || line.length == 0) continue;
        if (decode_name(line, tabs ? '\t' : '/', &name))
            buf_printf(&written, "%.*s\n", STR_ARGS(buf_str(&name)));
        else
            buf_printf(&written, "%.*s\n", STR_ARGS(line));
    }
    if (good && !str_equal(buf_str(&text), buf_str(&written)))
        good = store_write_file(store, "subscriptions", buf_str(&written), failure);
    buf_free(&text);
    buf_free(&written);
    buf_free(&name);
    return good;
}

bool store_take_over(struct store *store, struct failure *failure) {
    int lock = store_lock(store, failure);
    bool good = lock >= 0;
    if (good && store_is_foreign(store))
        good = rename_directories(store, failure) && rewrite_subscriptions(store, failure);
    if (lock >= 0) close(lock);
    return good;
}
