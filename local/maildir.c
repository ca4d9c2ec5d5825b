/* Delivery into a Maildir.
 *
 *   tmp/NAME.unique  written, synced; unique, so that an old attempt that still runs cannot be in the way
 *   new/NAME         by a rename that does not replace; the same NAME at every attempt, so a message that
 *                    got through before a crash is found and not written twice
 *   new/             synced: only then is it delivered
 *
 * A file there under that NAME was synced before it got its name: it is whole. After a failed sync the
 * file is thrown away; the next attempt writes a new one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "folder_sync.h"
#include "maildir_host.h"
#include "maildir_sweep.h"
#include "worker.h"

#define NAME_ROOM  300
#define NO_REPLACE 1U /* RENAME_NOREPLACE */

struct maildir {
    const struct config *config;
    const struct ipc_local_work *work;
    int file; /* queue file */
    int64_t size_limit;
    int folder, new;               /* descriptors */
    struct stat status;            /* of the folder */
    char tmp_name[NAME_ROOM + 60]; /* tmp/... */
    struct buf name;
    struct worked *worked;
};

void maildir_name(const struct ipc_local_work *work, struct str host, struct buf *name) {
    buf_printf(name, "%llu.M%06lluQ%.*sR%llu.", (unsigned long long)(work->arrival / (uint64_t)CLOCK_SECOND),
               (unsigned long long)(work->arrival % (uint64_t)CLOCK_SECOND), STR_ARGS(work->queue_id),
               (unsigned long long)work->index);
    maildir_append_host(name, host);
}

/* Room for quotas: whether the owner may store that much more. */
static bool quota_allows(const struct maildir *maildir, uint64_t bytes) {
    (void)maildir;
    (void)bytes;
    return true;
}

static bool fits(struct maildir *maildir, uint64_t bytes) {
    if (maildir->size_limit > 0 && bytes > (uint64_t)maildir->size_limit)
        return worked_set(maildir->worked, DELIVERY_FAILED, "5.2.3",
                          "maildir delivery failed: message size %llu exceeds the limit %lld",
                          (unsigned long long)bytes, (long long)maildir->size_limit);
    if (!quota_allows(maildir, bytes))
        return worked_set(maildir->worked, DELIVERY_FAILED, "5.2.2", "maildir delivery failed: mailbox full");
    return true;
}

static bool is_ours(struct maildir *maildir) {
    if (fstat(maildir->folder, &maildir->status) < 0)
        return worked_errno(maildir->worked, errno, "cannot look at the maildir");
    if (maildir->status.st_uid == geteuid() || !maildir->config->strict_mailbox_ownership) return true;
    worked_set(maildir->worked, DELIVERY_DEFERRED, "4.2.0", "maildir is not owned by the recipient");
    return false;
}

/* ---- looking for an earlier attempt's file */

/* Whether it can be seen is not whether it is there: who cannot look does not deliver now. */
enum look { LOOK_THERE, LOOK_ABSENT, LOOK_FAILED };

static enum look look_in_cur(const struct maildir *maildir) {
    int cur = beneath_open(maildir->folder, "cur", O_RDONLY | O_DIRECTORY, 0);
    DIR *listing = cur < 0 ? NULL : fdopendir(cur);
    bool found = false;
    int reason = errno;
    if (!listing && cur >= 0) close(cur);
    errno = reason;
    if (!listing) return failure_is_local(reason) ? LOOK_FAILED : LOOK_ABSENT;
    struct str name = buf_str(&maildir->name);
    for (struct dirent *entry; !found && (errno = 0, entry = readdir(listing)) != NULL;) {
        struct str other = str_from(entry->d_name);
        found = str_starts(other, name) &&
                (other.length == name.length || other.data[name.length] == ':' || other.data[name.length] == ',');
    }
    reason = found ? 0 : errno;
    closedir(listing);
    errno = reason;
    return found ? LOOK_THERE : reason ? LOOK_FAILED : LOOK_ABSENT;
}

/* A regular file of that name in new/ is an earlier attempt's. */
static enum look look_in_new(const struct maildir *maildir) {
    struct stat status;
    if (fstatat(maildir->new, buf_string(&maildir->name), &status, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(status.st_mode) ? LOOK_THERE : LOOK_ABSENT;
    return errno == ENOENT ? LOOK_ABSENT : LOOK_FAILED;
}

static enum look look_for_earlier(const struct maildir *maildir) {
    enum look seen = look_in_new(maildir);
    return seen == LOOK_ABSENT ? look_in_cur(maildir) : seen;
}

static bool sync_new(struct maildir *maildir) {
    int error_number = 0;
    if (directory_sync(maildir->new, &maildir->status, &error_number)) return true;
    return worked_errno(maildir->worked, error_number, "maildir delivery failed: cannot sync new");
}

/* ---- writing */

/* tmp, new and cur with the names made durable before anything is delivered into them. */
static bool make_folders(int folder) {
    static const char names[3][4] = {"tmp", "cur", "new"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (mkdirat(folder, names[i], 0700) < 0 && errno != EEXIST) return false;
    return fsync(folder) == 0;
}

static int create_tmp(struct maildir *maildir) {
    static _Atomic uint64_t counter;
    snprintf(maildir->tmp_name, sizeof maildir->tmp_name, "tmp/%s.P%dC%llu", buf_string(&maildir->name), (int)getpid(),
             (unsigned long long)atomic_fetch_add(&counter, 1));
    int flags = O_WRONLY | O_CREAT | O_EXCL;
    int made = beneath_open(maildir->folder, maildir->tmp_name, flags, 0600);
    if (made >= 0 || (errno != EEXIST && errno != ENOENT)) return made;
    /* A process of that number in an earlier life is gone; a folder may have been lost. */
    if (errno == EEXIST)
        unlinkat(maildir->folder, maildir->tmp_name, 0);
    else if (!make_folders(maildir->folder))
        return -1;
    return beneath_open(maildir->folder, maildir->tmp_name, flags, 0600);
}

static bool fill(struct maildir *maildir, const struct content *content, int tmp) {
    switch (content_write(content, tmp)) {
    case CONTENT_WRITTEN:
        break;
    case CONTENT_READ_FAILED:
        return worked_set(maildir->worked, DELIVERY_DEFERRED, "4.3.0", "cannot read the queue file: %s", strerror(errno));
    case CONTENT_WRITE_FAILED:
        return worked_errno(maildir->worked, errno, "maildir delivery failed: error writing message");
    }
    if (fsync(tmp) == 0) return true;
    return worked_errno(maildir->worked, errno, "maildir delivery failed: cannot sync the message");
}

/* True when new/NAME is there, by us or by an earlier attempt. */
static bool give_name(struct maildir *maildir) {
    const char *name = buf_string(&maildir->name);
    if (syscall(SYS_renameat2, maildir->folder, maildir->tmp_name, maildir->new, name, NO_REPLACE) == 0) return true;
    if ((errno == EINVAL || errno == ENOSYS) &&
        linkat(maildir->folder, maildir->tmp_name, maildir->new, name, 0) == 0) {
        unlinkat(maildir->folder, maildir->tmp_name, 0);
        return true;
    }
    int reason = errno;
    unlinkat(maildir->folder, maildir->tmp_name, 0);
    if (reason == EEXIST && look_in_new(maildir) == LOOK_THERE) return true;
    return worked_errno(maildir->worked, reason, "maildir delivery failed: link to new");
}

static bool write_message(struct maildir *maildir) {
    struct content content = {.work = maildir->work, .file = maildir->file};
    content_make_prefix(&content, maildir->config);
    bool good = fits(maildir, content.prefix.length + maildir->work->content_length);
    if (good) {
        int tmp = create_tmp(maildir);
        if (tmp < 0) {
            good = worked_errno(maildir->worked, errno, "maildir delivery failed: create %s", maildir->tmp_name);
        } else {
            good = fill(maildir, &content, tmp);
            if (close(tmp) < 0 && good) good = worked_errno(maildir->worked, errno, "maildir delivery failed: close");
            if (!good) unlinkat(maildir->folder, maildir->tmp_name, 0);
        }
    }
    buf_free(&content.prefix);
    return good && give_name(maildir) && sync_new(maildir);
}

/* ---- the folders */

static bool open_folders(struct maildir *maildir, int base, struct str path) {
    maildir->folder = beneath_directory(base, path, true);
    if (maildir->folder < 0)
        return worked_errno(maildir->worked, errno, "maildir delivery failed: open %.*s", STR_ARGS(path));
    if (!is_ours(maildir)) return false;
    maildir->new = beneath_open(maildir->folder, "new", O_RDONLY | O_DIRECTORY, 0);
    if (maildir->new < 0 && errno == ENOENT && make_folders(maildir->folder))
        maildir->new = beneath_open(maildir->folder, "new", O_RDONLY | O_DIRECTORY, 0);
    if (maildir->new < 0)
        return worked_errno(maildir->worked, errno, "maildir delivery failed: open %.*s/new", STR_ARGS(path));
    return true;
}

bool maildir_deliver(const struct config *config, const struct ipc_local_work *work, int file, int base,
                     struct str path, int64_t size_limit, struct worked *worked) {
    struct maildir maildir = {.config = config,
                              .work = work,
                              .file = file,
                              .size_limit = size_limit,
                              .folder = -1,
                              .new = -1,
                              .name = buf_make(NAME_ROOM),
                              .worked = worked};
    bool good = open_folders(&maildir, base, path);
    if (good) {
        maildir_sweep(maildir.folder);
        maildir_name(work, config->myhostname, &maildir.name);
        switch (work->perhaps_delivered ? look_for_earlier(&maildir) : LOOK_ABSENT) {
        case LOOK_THERE:
            good = sync_new(&maildir);
            break;
        case LOOK_ABSENT:
            good = write_message(&maildir);
            break;
        case LOOK_FAILED:
            good = worked_errno(worked, errno, "maildir delivery failed: cannot look for an earlier delivery");
            break;
        }
    }
    if (good) worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "delivered to maildir");
    if (maildir.new >= 0) close(maildir.new);
    if (maildir.folder >= 0) close(maildir.folder);
    buf_free(&maildir.name);
    return good;
}
