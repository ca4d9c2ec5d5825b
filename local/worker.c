/* Which step is what: see worker.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker.h"

/* ---- mailboxes */

static int open_base(struct str path) {
    char *name = memory_copy_string(path);
    int opened = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int reason = errno;
    MEMORY_FREE(name);
    errno = reason;
    return opened;
}

/* A mailbox beneath a base directory that the administrator named. */
static void deliver_beneath(const struct config *config, const struct ipc_local_work *work, int file, struct str base,
                            struct str path, struct str locks, int64_t limit, struct worked *worked) {
    int directory = open_base(base);
    if (directory < 0) {
        worked_errno(worked, errno, "cannot open %.*s", STR_ARGS(base));
        return;
    }
    if (str_ends(path, STR("/")))
        maildir_deliver(config, work, file, directory, path, limit, worked);
    else
        mbox_deliver(config, work, file, directory, path, locks, limit, "delivered to mailbox", worked);
    close(directory);
}

static void deliver_virtual(const struct config *config, const struct ipc_local_work *work, int file,
                            struct worked *worked) {
    struct str base = config->virtual_mailbox_base;
    while (base.length > 1 && base.data[base.length - 1] == '/')
        base.length--;
    if (base.length < 2 || !str_starts(work->target, base) || work->target.length <= base.length + 1 ||
        work->target.data[base.length] != '/') {
        worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "the mailbox is not beneath virtual_mailbox_base");
        return;
    }
    deliver_beneath(config, work, file, base, str_from_offset(work->target, base.length + 1),
                    config->virtual_mailbox_lock, config->virtual_mailbox_limit, worked);
}

static bool user_name_is_file_name(struct str user) {
    return user.length > 0 && user.length < 200 && user.data[0] != '.' && str_find(user, '/') == STR_NONE;
}

/* A home directory that is missing must not be made, and must not hide a mailbox: deferred. */
static void deliver_mailbox(const struct config *config, const struct ipc_local_work *work, int file,
                            struct worked *worked) {
    if (config->home_mailbox.length) {
        deliver_beneath(config, work, file, work->home, config->home_mailbox, config->mailbox_delivery_lock,
                        config->mailbox_size_limit, worked);
        return;
    }
    if (!user_name_is_file_name(work->user)) {
        worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "the user name cannot be a mailbox name");
        return;
    }
    struct buf path = buf_make(0);
    buf_append(&path, work->user);
    if (str_ends(config->mail_spool_directory, STR("/"))) buf_append_char(&path, '/');
    deliver_beneath(config, work, file, config->mail_spool_directory, buf_str(&path), config->mailbox_delivery_lock,
                    config->mailbox_size_limit, worked);
    buf_free(&path);
}

/* Where mail_spool_directory lets its group make files and nobody else, as /var/mail of Debian and others. What is
 * made belongs to the user, whose own worker delivers into it. */
static void make_mailbox(const struct config *config, const struct ipc_local_work *work, struct worked *worked) {
    if (!user_name_is_file_name(work->user)) return;
    int directory = open_base(config->mail_spool_directory);
    if (directory < 0) {
        worked_errno(worked, errno, "cannot open %.*s", STR_ARGS(config->mail_spool_directory));
        return;
    }
    mbox_make(directory, work->user, worked);
    close(directory);
}

/* An absolute file of an alias or .forward. */
static void deliver_file(const struct config *config, const struct ipc_local_work *work, int file,
                         struct worked *worked) {
    struct str target = work->target, directory = STR("/");
    char what[700];
    snprintf(what, sizeof what, "delivered to file: %.*s", STR_ARGS(str_slice(target, 0, 600)));
    if (str_equal(target, STR("/dev/null"))) {
        worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "%s", what);
        return;
    }
    bool maildir = str_ends(target, STR("/"));
    struct str path = target;
    while (path.length > 1 && path.data[path.length - 1] == '/')
        path.length--;
    size_t slash = str_find_last(path, '/');
    if (slash == STR_NONE || path.data[0] != '/') {
        worked_set(worked, DELIVERY_DEFERRED, "4.3.5", "%.*s is not an absolute file name", STR_ARGS(target));
        return;
    }
    if (slash > 0) directory = str_slice(path, 0, slash);
    int base = open_base(directory);
    if (base < 0) {
        worked_errno(worked, errno, "cannot open %.*s", STR_ARGS(directory));
        return;
    }
    path = str_from_offset(path, slash + 1);
    if (!maildir)
        mbox_deliver(config, work, file, base, path, config->mailbox_delivery_lock, config->mailbox_size_limit, what,
                     worked);
    else if (maildir_deliver(config, work, file, base, path, config->mailbox_size_limit, worked))
        worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "%s", what);
    close(base);
}

/* ---- steps of a system user */

/* True if the delivery may go on. */
static bool check_loop(const struct config *config, const struct ipc_local_work *work, int file,
                       struct worked *worked) {
    switch (content_look_for_loop(file, work->content_offset, work->content_length, work->recipient,
                                  (uint64_t)config->hopcount_limit)) {
    case LOOP_NONE:
        return true;
    case LOOP_DELIVERED:
        return worked_set(worked, DELIVERY_FAILED, "5.4.6", "mail forwarding loop for %.*s",
                          STR_ARGS(str_slice(work->recipient, 0, 500)));
    case LOOP_HOPS:
        return worked_set(worked, DELIVERY_FAILED, "5.4.6", "too many hops");
    case LOOP_UNREADABLE:
        return worked_set(worked, DELIVERY_DEFERRED, "4.3.0", "cannot read the queue file: %s", strerror(errno));
    }
    return false;
}

static bool home_is_there(const struct config *config, const struct ipc_local_work *work, struct worked *worked) {
    if (!config->require_home_directory) return true;
    int home = open_base(work->home);
    if (home < 0) return worked_errno(worked, errno, "cannot access home directory %.*s", STR_ARGS(work->home));
    close(home);
    return true;
}

static void deliver_user(const struct config *config, const struct ipc_local_work *work, int file,
                         struct worked *worked) {
    if (!home_is_there(config, work, worked) || !check_loop(config, work, file, worked)) return;
    if (forward_read(config, work, worked) != FORWARD_NONE) return;
    if (work->step == STEP_USER)
        deliver_mailbox(config, work, file, worked);
    else
        worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "no forwarding");
}

void worker_step(const struct config *config, const struct ipc_local_work *work, int file, struct worked *worked) {
    worked_set(worked, DELIVERY_DEFERRED, "4.3.0", "unknown step of a delivery");
    switch ((enum local_step)work->step) {
    case STEP_VIRTUAL:
        deliver_virtual(config, work, file, worked);
        break;
    case STEP_USER:
    case STEP_FORWARD:
        deliver_user(config, work, file, worked);
        break;
    case STEP_MAILBOX:
        deliver_mailbox(config, work, file, worked);
        break;
    case STEP_FILE:
        deliver_file(config, work, file, worked);
        break;
    case STEP_ACCOUNT:
        account_deliver(config, work, file, worked);
        break;
    case STEP_QUOTA:
        account_has_room(config, work, worked);
        break;
    case STEP_MAKE:
        make_mailbox(config, work, worked);
        break;
    case STEP_INCLUDE:
        include_read(work, worked);
        break;
    case STEP_CHECK:
        if (check_loop(config, work, file, worked)) worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "no loop");
        break;
    case STEP_COMMAND:
        break; /* not here: the filter forbids it */
    }
}
