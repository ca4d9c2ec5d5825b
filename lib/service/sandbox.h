/* sandbox: what a process can no longer do once it is set up.
 *
 * sandbox_plan looks up what has to be known while everything is still in
 * reach (accounts, directories); sandbox_enter then gives everything up, in one
 * go, before the first outside byte is read and before any thread exists.
 *
 * Started as root, a process takes on its row's account and root directory.
 * Started by an ordinary user (a private instance), or where mail_owner is the
 * very user it runs as, it keeps its user and Landlock stands in for the root
 * directory. All else is the same for both. */
#ifndef TERN_SANDBOX_H
#define TERN_SANDBOX_H

#include "failure.h"
#include "service_table.h"
#include <sys/resource.h>
#include <sys/types.h>

struct sandbox_options {
    struct str queue_directory;
    struct str data_directory;
    struct str log_directory; /* empty: the log service has no file */
    struct str mail_owner;    /* account, and the prefix of the others */
    unsigned sessions;        /* at most, for the memory their stacks take */
    uint64_t file_size;       /* at most, of a file that a service without RIGHT_FILES was handed; 0: no limit */
};

struct sandbox {
    const struct service_row *row;
    bool private_instance; /* no change of user and root directory */
    uid_t uid;
    gid_t gid;
    int directory; /* the root directory, -1 for ROOT_SLASH; for the daemon too (service_directory) */
    unsigned sessions;
    uint64_t file_size;
};

/* Opens the root directory, which sandbox_enter goes to. False: an account or a directory is missing. */
MUST_USE bool sandbox_plan(const struct service_row *row, const struct sandbox_options *options,
                           struct sandbox *sandbox, struct failure *failure);
/* False: the process is somewhere on the way and has to end. */
MUST_USE bool sandbox_enter(const struct sandbox *sandbox, struct failure *failure);

/* ---- its parts */

/* Lowers a limit (RLIMIT_*), or raises it as far as the hard limit lets; past that goes only who may (root in a
 * container often may not). */
MUST_USE bool sandbox_set_limit(int resource, rlim_t wanted, struct failure *failure);

/* Denies what the rights do not name in the file system beneath directory (-1:
 * all of it), TCP, abstract sockets and signals, as far as the kernel can. */
MUST_USE bool landlock_restrict(const struct service_row *row, int directory, struct failure *failure);
/* The filter made once, for a forker whose children install it: making it takes a millisecond, installing it does
 * not. Freed by nobody: it lives as long as the process. */
struct sock_fprog;
MUST_USE bool seccomp_make(unsigned rights, struct sock_fprog *program, struct failure *failure);
/* no_new_privs has been set. */
MUST_USE bool seccomp_install(const struct sock_fprog *program, struct failure *failure);
/* Installs the system call filter for a set of RIGHT_*. */
MUST_USE bool seccomp_restrict(unsigned rights, struct failure *failure);

#endif
