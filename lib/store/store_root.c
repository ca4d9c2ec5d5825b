/* See store_root.h. */
#include "store_root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "maildir_host.h"
#include "store_name.h"

#define SMALL_FILE_MAX ((size_t)4 << 20)

int store_directory(const struct store *store) {
    return store->root;
}

enum store_result store_trouble(const struct failure *failure) {
    return failure->error_number == ENOSPC || failure->error_number == EDQUOT ? STORE_FULL : STORE_BROKEN;
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

/* ---- directories of folders */

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

/* ---- names of messages */

void store_unique_name(struct store *store, struct buf *name) {
    int64_t now = clock_date();
    buf_printf(name, "%lld.M%06lldP%d_%llu.", (long long)(now / CLOCK_SECOND), (long long)(now % CLOCK_SECOND),
               (int)getpid(), (unsigned long long)++store->unique);
    maildir_append_host(name, store->options.host);
}
