/* Delivery into a mailbox file: locked, appended to, synced; cut back to what it
 * was when anything fails. A crash in the middle leaves a part of the message at the
 * end, which the next attempt cannot tell from another program's: Maildir does not
 * have that fault. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "worker.h"

#define NAME_ROOM 300

struct mbox {
    const struct config *config;
    const struct ipc_local_work *work;
    int file;      /* queue file */
    int directory; /* of the mailbox */
    char name[NAME_ROOM], lock_name[NAME_ROOM];
    int mailbox;
    bool dot_locked;
    int64_t size_limit;
    const char *what;
    struct worked *worked;
};

static bool fails(struct mbox *mbox, int error_number, const char *doing) {
    return worked_errno(mbox->worked, error_number, "cannot update mailbox %s: %s", mbox->name, doing);
}

/* ---- locks */

static bool wait_for_lock(const struct mbox *mbox, unsigned attempt) {
    struct timespec pause = {.tv_sec = (time_t)mbox->config->deliver_lock_delay};
    if ((int64_t)attempt + 1 >= mbox->config->deliver_lock_attempts) return false;
    nanosleep(&pause, NULL);
    return true;
}

static void remove_stale(const struct mbox *mbox) {
    struct stat status;
    if (fstatat(mbox->directory, mbox->lock_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        time(NULL) - status.st_mtime > mbox->config->stale_lock_time)
        unlinkat(mbox->directory, mbox->lock_name, 0);
}

/* Where the directory does not let its users make files (and other programs cannot either) the kernel's lock
 * has to do, as Postfix has it. */
static bool take_dot_lock(struct mbox *mbox, bool only) {
    for (unsigned attempt = 0;; attempt++) {
        int made = beneath_open(mbox->directory, mbox->lock_name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (made >= 0) {
            close(made);
            mbox->dot_locked = true;
            return true;
        }
        if ((errno == EACCES || errno == EPERM || errno == EROFS) && !only) return true;
        if (errno != EEXIST) return fails(mbox, errno, "create the lock file");
        remove_stale(mbox);
        if (!wait_for_lock(mbox, attempt)) return fails(mbox, EAGAIN, "lock file exists");
    }
}

/* Locks of the open file, not of the process: threads of one worker keep each other out too. */
static bool take_kernel_lock(struct mbox *mbox, bool by_flock) {
    for (unsigned attempt = 0;; attempt++) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int taken = by_flock ? flock(mbox->mailbox, LOCK_EX | LOCK_NB) : fcntl(mbox->mailbox, F_OFD_SETLK, &whole);
        if (taken == 0) return true;
        if (errno != EAGAIN && errno != EACCES && errno != EWOULDBLOCK && errno != EINTR)
            return fails(mbox, errno, "lock");
        if (!wait_for_lock(mbox, attempt)) return fails(mbox, EAGAIN, "locked by another process");
    }
}

static bool take_locks(struct mbox *mbox, struct str locks) {
    struct str rest = locks, word;
    bool dot = false, by_fcntl = false, by_flock = false;
    while (str_next_word(&rest, ", \t", &word)) {
        dot |= str_equal(word, STR("dotlock"));
        by_fcntl |= str_equal(word, STR("fcntl"));
        by_flock |= str_equal(word, STR("flock"));
    }
    return (!dot || take_dot_lock(mbox, !by_fcntl && !by_flock)) && (!by_fcntl || take_kernel_lock(mbox, false)) &&
           (!by_flock || take_kernel_lock(mbox, true));
}

/* ---- the file */

static bool is_fit(struct mbox *mbox, struct stat *status) {
    if (fstat(mbox->mailbox, status) < 0) return fails(mbox, errno, "stat");
    const char *reason = NULL;
    if (!S_ISREG(status->st_mode))
        reason = "is not a regular file";
    else if (status->st_nlink != 1)
        reason = "has more than one name";
    else if (status->st_uid != geteuid() && mbox->config->strict_mailbox_ownership)
        reason = "is not owned by recipient";
    if (!reason) return true;
    return worked_set(mbox->worked, DELIVERY_DEFERRED, "4.2.0", "cannot update mailbox %s: destination %s", mbox->name,
                      reason);
}

/* The name still leads to the file that is locked: a mail reader may have put another in its place meanwhile. */
static bool is_still_there(const struct mbox *mbox, const struct stat *status) {
    struct stat now;
    return fstatat(mbox->directory, mbox->name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == status->st_dev &&
           now.st_ino == status->st_ino;
}

/* An earlier crash, or another program, may have left a last line without its end: a From line after it would not
 * be one, and the message a part of the one before. */
static bool part_from_last(struct mbox *mbox, struct content *content, off_t size) {
    char last[2] = {'\n', '\n'};
    size_t most = size < 2 ? (size_t)size : 2;
    ssize_t got = pread(mbox->mailbox, last + 2 - most, most, size - (off_t)most);
    if (got != (ssize_t)most) return fails(mbox, got < 0 ? errno : EIO, "read its end");
    if (last[1] != '\n') return buf_insert(&content->prefix, 0, STR("\n\n"));
    return last[0] == '\n' || buf_insert(&content->prefix, 0, STR("\n"));
}

static bool append(struct mbox *mbox, struct content *content, off_t size) {
    if (!part_from_last(mbox, content, size)) return false;
    uint64_t more = content->prefix.length + mbox->work->content_length + 1;
    if (mbox->size_limit > 0 && (uint64_t)size + more > (uint64_t)mbox->size_limit)
        return worked_set(mbox->worked, DELIVERY_FAILED, "5.2.2",
                          "cannot update mailbox %s: mailbox full (limit %lld bytes)", mbox->name,
                          (long long)mbox->size_limit);
    if (lseek(mbox->mailbox, size, SEEK_SET) < 0) return fails(mbox, errno, "seek");
    enum content_result result = content_write_quoted(content, mbox->mailbox);
    bool good = result == CONTENT_WRITTEN;
    if (result == CONTENT_WRITE_FAILED) good = fails(mbox, errno, "error writing message");
    if (result == CONTENT_READ_FAILED)
        good = worked_set(mbox->worked, DELIVERY_DEFERRED, "4.3.0", "cannot read the queue file: %s", strerror(errno));
    if (good && fsync(mbox->mailbox) < 0) good = fails(mbox, errno, "sync");
    if (good) return true;
    /* The message is deferred in any case, but the administrator has to know of a part that stays. */
    if (ftruncate(mbox->mailbox, size) < 0) log_warning("mailbox %s: cannot cut off a part of a message", mbox->name);
    return false;
}

static bool open_and_append(struct mbox *mbox, struct str locks, struct content *content) {
    struct stat status;
    struct stat before;
    bool fresh = fstatat(mbox->directory, mbox->name, &before, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    mbox->mailbox = beneath_open(mbox->directory, mbox->name, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
    if (mbox->mailbox < 0) {
        mbox->worked->unmade = fresh && (errno == EACCES || errno == EPERM);
        return fails(mbox, errno, "open");
    }
    if (!is_fit(mbox, &status) || !take_locks(mbox, locks) || !is_fit(mbox, &status)) return false;
    if (!is_still_there(mbox, &status)) return fails(mbox, EAGAIN, "replaced meanwhile");
    if (!append(mbox, content, status.st_size)) return false;
    if (fresh && fsync(mbox->directory) < 0) return fails(mbox, errno, "sync the directory");
    return true;
}

bool mbox_deliver(const struct config *config, const struct ipc_local_work *work, int file, int base, struct str path,
                  struct str locks, int64_t size_limit, const char *what, struct worked *worked) {
    struct mbox mbox = {.config = config,
                        .work = work,
                        .file = file,
                        .mailbox = -1,
                        .size_limit = size_limit,
                        .what = what,
                        .worked = worked};
    struct content content = {.work = work, .file = file};
    struct str name;
    /* A virtual mailbox's directories are made as a virtual Maildir's are; whose home or list it is makes others. */
    mbox.directory = beneath_parent(base, path, work->step == STEP_VIRTUAL, &name);
    if (mbox.directory < 0)
        return worked_errno(worked, errno, "cannot update mailbox %.*s: open its directory", STR_ARGS(path));
    snprintf(mbox.name, sizeof mbox.name, "%.*s", STR_ARGS(name));
    snprintf(mbox.lock_name, sizeof mbox.lock_name, "%.*s.lock", STR_ARGS(name));
    content_append_from_line(&content.prefix, work->sender, clock_date());
    content_make_prefix(&content, config);
    bool good = open_and_append(&mbox, locks, &content);
    if (mbox.mailbox >= 0 && close(mbox.mailbox) < 0 && good) good = fails(&mbox, errno, "close");
    if (mbox.dot_locked) unlinkat(mbox.directory, mbox.lock_name, 0);
    close(mbox.directory);
    buf_free(&content.prefix);
    if (good) worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "%s", what);
    return good;
}

bool mbox_make(int directory, struct str name, struct worked *worked) {
    char *path = memory_copy_string(name);
    int made = beneath_open(directory, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    bool good = made >= 0 || errno == EEXIST;
    int reason = errno;
    MEMORY_FREE(path);
    if (made >= 0) close(made);
    return good ? worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "mailbox made")
                : worked_errno(worked, reason, "cannot make mailbox %.*s", STR_ARGS(name));
}
