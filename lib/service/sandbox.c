/* Locking a process in: user, root directory, capabilities, limits, and then the
 * two kernel mechanisms in landlock.c and seccomp_filters.c. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "sandbox.h"

enum {
    STACK_KIB = 256,     /* of a task, lib/base/task.h */
    TASKS_BESIDE = 4096, /* requests and helpers beyond one task a session */
    DESCRIPTORS_BESIDE = 64,
};

/* ---- planning */

/* Who asks for an account that does not exist makes the C library load all its
 * account modules, which cannot be done once code cannot be mapped any more. */
static void load_account_modules(void) {
    (void)getpwnam("tern-no-such-account");
    (void)getgrnam("tern-no-such-group");
}

static bool find_account(const char *name, uid_t *uid, gid_t *gid, struct failure *failure) {
    errno = 0;
    const struct passwd *entry = getpwnam(name);
    if (!entry && errno != 0) return failure_set_errno(failure, errno, "account %s", name);
    if (!entry) return failure_set(failure, "there is no account %s", name);
    *uid = entry->pw_uid;
    *gid = entry->pw_gid;
    return true;
}

static bool plan_user(struct sandbox *sandbox, const struct sandbox_options *options, struct failure *failure) {
    struct buf name = buf_make(0);
    uid_t owner = 0;
    gid_t group = 0;
    bool done = true;
    sandbox->uid = geteuid();
    sandbox->gid = getegid();
    sandbox->private_instance = sandbox->uid != 0;
    buf_append(&name, options->mail_owner);
    if (!sandbox->private_instance) done = find_account(buf_string(&name), &owner, &group, failure);
    if (done && owner == sandbox->uid) sandbox->private_instance = true;
    if (done && !sandbox->private_instance && strcmp(sandbox->row->user, "root") != 0) {
        buf_printf(&name, "-%s", sandbox->row->user);
        done = find_account(buf_string(&name), &sandbox->uid, &sandbox->gid, failure);
        if (done && sandbox->uid == 0) done = failure_set(failure, "account %s is root", buf_string(&name));
    }
    buf_free(&name);
    return done;
}

static bool open_directory(struct str parent, const char *child, int *directory, struct failure *failure) {
    struct buf path = buf_make(0);
    buf_append(&path, parent);
    if (child[0]) buf_printf(&path, "/%s", child);
    *directory = open(buf_string(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = *directory >= 0 || failure_set_errno(failure, errno, "%s", buf_string(&path));
    buf_free(&path);
    return done;
}

/* The empty directory is made when missing, so that no other one is taken for it. */
static bool open_empty(struct str queue_directory, int *directory, struct failure *failure) {
    int parent;
    if (!open_directory(queue_directory, "", &parent, failure)) return false;
    if (mkdirat(parent, "empty", 0555) < 0 && errno != EEXIST) {
        failure_set_errno(failure, errno, "%.*s/empty", STR_ARGS(queue_directory));
        close(parent);
        return false;
    }
    *directory = openat(parent, "empty", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int error = errno;
    close(parent);
    return *directory >= 0 || failure_set_errno(failure, error, "%.*s/empty", STR_ARGS(queue_directory));
}

static bool plan_directory(struct sandbox *sandbox, const struct sandbox_options *options, struct failure *failure) {
    sandbox->directory = -1;
    switch (sandbox->row->root) {
    case ROOT_SLASH:
        return true;
    case ROOT_QUEUE:
        return open_directory(options->queue_directory, "queue", &sandbox->directory, failure);
    case ROOT_DROP:
        return open_directory(options->queue_directory, "maildrop", &sandbox->directory, failure);
    case ROOT_LOGS:
        if (options->log_directory.length > 0)
            return open_directory(options->log_directory, "", &sandbox->directory, failure);
        return open_empty(options->queue_directory, &sandbox->directory, failure);
    case ROOT_FETCH:
        return open_directory(options->data_directory, "fetch", &sandbox->directory, failure);
    case ROOT_TLSRPT:
        return open_directory(options->data_directory, "tlsrpt", &sandbox->directory, failure);
    case ROOT_EMPTY:
        return open_empty(options->queue_directory, &sandbox->directory, failure);
    }
    return false;
}

/* What the set-gid command leaves in the drop folder is for the folder's group, and for nobody else. */
static bool take_folder_group(struct sandbox *sandbox, struct failure *failure) {
    struct stat status;
    if (sandbox->private_instance || sandbox->row->root != ROOT_DROP) return true;
    if (fstat(sandbox->directory, &status) < 0) return failure_set_errno(failure, errno, "the drop folder");
    if (status.st_gid != 0) sandbox->gid = status.st_gid;
    return true;
}

bool sandbox_plan(const struct service_row *row, const struct sandbox_options *options, struct sandbox *sandbox,
                  struct failure *failure) {
    struct sandbox planned = {
        .row = row, .directory = -1, .sessions = options->sessions, .file_size = options->file_size};
    if (!plan_user(&planned, options, failure) || !plan_directory(&planned, options, failure) ||
        !take_folder_group(&planned, failure))
        return false;
    tzset(); /* reads the time zone's file while it can be seen */
    if (row->root == ROOT_SLASH) load_account_modules();
    *sandbox = planned;
    return true;
}

/* ---- entering */

bool sandbox_set_limit(int resource, rlim_t wanted, struct failure *failure) {
    struct rlimit hard;
    struct rlimit limit = {wanted, wanted};
    __rlimit_resource_t which = (__rlimit_resource_t)resource;
    if (getrlimit(which, &hard) < 0) return failure_set_errno(failure, errno, "getrlimit");
    if (setrlimit(which, &limit) == 0) return true;
    if (errno != EPERM || wanted <= hard.rlim_max) return failure_set_errno(failure, errno, "setrlimit %d", resource);
    limit = (struct rlimit){hard.rlim_max, hard.rlim_max};
    return setrlimit(which, &limit) == 0 || failure_set_errno(failure, errno, "setrlimit %d", resource);
}

static bool set_limits(const struct sandbox *sandbox, struct failure *failure) {
    rlim_t descriptors = sandbox->row->descriptors;
    if (descriptors < (rlim_t)sandbox->sessions + DESCRIPTORS_BESIDE)
        descriptors = (rlim_t)sandbox->sessions + DESCRIPTORS_BESIDE;
    if (!sandbox_set_limit(RLIMIT_NOFILE, descriptors, failure) || !sandbox_set_limit(RLIMIT_CORE, 0, failure))
        return false;
    /* A queue file of a terabyte costs its writer nothing where files have holes, but cleanup sums its bytes. */
    if (sandbox->file_size && !(sandbox->row->rights & RIGHT_FILES)) {
        signal(SIGXFSZ, SIG_IGN); /* a failed write, with EFBIG, is enough */
        if (!sandbox_set_limit(RLIMIT_FSIZE, sandbox->file_size, failure)) return false;
    }
#ifndef TERN_SANITIZERS
    /* The kernel counts address space, and the stacks of tasks are mostly that. */
    rlim_t memory = (rlim_t)sandbox->row->memory_mib << 20;
    memory += ((rlim_t)sandbox->sessions + TASKS_BESIDE) * STACK_KIB << 10;
    if (!sandbox_set_limit(RLIMIT_DATA, memory, failure)) return false;
    if (!(sandbox->row->rights & (RIGHT_FORK | RIGHT_THREADS)) && !sandbox_set_limit(RLIMIT_NPROC, 0, failure))
        return false;
#endif
    return true;
}

static bool change_root(const struct sandbox *sandbox, struct failure *failure) {
    if (sandbox->row->root == ROOT_SLASH) {
        if (chdir("/") < 0) return failure_set_errno(failure, errno, "chdir to /");
        return true;
    }
    /* Without the right to change the root, Landlock stands in; relative names work alike. */
    if (sandbox->private_instance) {
        if (fchdir(sandbox->directory) < 0)
            return failure_set_errno(failure, errno, "chdir to the service's directory");
        return true;
    }
    if (fchdir(sandbox->directory) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return failure_set_errno(failure, errno, "change of the root directory");
    return true;
}

/* What root keeps where the row says root: becoming somebody and ending what was started so. */
static const cap_value_t kept_capabilities[] = {CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN, CAP_DAC_OVERRIDE};

static bool is_kept(const struct sandbox *sandbox, cap_value_t capability) {
    if (!(sandbox->row->rights & RIGHT_BECOME)) return false;
    for (size_t i = 0; i < ARRAY_LENGTH(kept_capabilities); i++)
        if (kept_capabilities[i] == capability) return true;
    return false;
}

/* Needs CAP_SETPCAP, so it comes before the change of user. */
static bool drop_bounding_set(const struct sandbox *sandbox, struct failure *failure) {
    for (cap_value_t capability = 0; cap_get_bound(capability) >= 0; capability++)
        if (!is_kept(sandbox, capability) && cap_drop_bound(capability) < 0)
            return failure_set_errno(failure, errno, "capability bounding set");
    return cap_reset_ambient() == 0 || failure_set_errno(failure, errno, "ambient capabilities");
}

static bool keep_capabilities(const struct sandbox *sandbox, struct failure *failure) {
    cap_t set = cap_init();
    bool done = set != NULL;
    if (geteuid() == 0 && (sandbox->row->rights & RIGHT_BECOME))
        done =
            done &&
            cap_set_flag(set, CAP_PERMITTED, (int)ARRAY_LENGTH(kept_capabilities), kept_capabilities, CAP_SET) == 0 &&
            cap_set_flag(set, CAP_EFFECTIVE, (int)ARRAY_LENGTH(kept_capabilities), kept_capabilities, CAP_SET) == 0;
    done = done && cap_set_proc(set) == 0;
    int error = errno;
    if (set) cap_free(set);
    return done || failure_set_errno(failure, error, "capabilities");
}

static bool change_user(const struct sandbox *sandbox, struct failure *failure) {
    if (sandbox->private_instance) return true;
    if (!drop_bounding_set(sandbox, failure)) return false;
    if (setgroups(0, NULL) < 0) return failure_set_errno(failure, errno, "setgroups");
    if (setresgid(sandbox->gid, sandbox->gid, sandbox->gid) < 0) return failure_set_errno(failure, errno, "setresgid");
    if (setresuid(sandbox->uid, sandbox->uid, sandbox->uid) < 0) return failure_set_errno(failure, errno, "setresuid");
    return true;
}

static bool set_process_flags(struct failure *failure) {
    umask(077);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "no_new_privs");
#ifndef TERN_SANITIZERS /* whose leak finder attaches as a debugger does */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "dumpable");
#endif
    return true;
}

bool sandbox_enter(const struct sandbox *sandbox, struct failure *failure) {
    return set_limits(sandbox, failure) && change_root(sandbox, failure) && change_user(sandbox, failure) &&
           keep_capabilities(sandbox, failure) && set_process_flags(failure) &&
           landlock_restrict(sandbox->row, sandbox->directory, failure) &&
           seccomp_restrict(sandbox->row->rights, failure);
}
