/* Landlock: the kernel denies what no rule allows, whatever the user. By raw
 * system calls, since the C library has none; the parts of the interface that the
 * build machine's headers may be too old for are written out. A kernel without
 * Landlock is accepted: the other walls stand. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"

/* All file system rights up to interface 5; each interface knows a number of them. */
enum { ABI_MAX = 6 };
static const unsigned filesystem_rights_of[ABI_MAX + 1] = {0, 13, 14, 15, 15, 16, 16};

#define FS_TRUNCATE (UINT64_C(1) << 14)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_SOCKETS (UINT64_C(1) << 0)
#define SCOPE_SIGNALS (UINT64_C(1) << 1)

/* struct landlock_ruleset_attr as of interface 6; older kernels take the beginning of it. */
struct ruleset {
    uint64_t filesystem;
    uint64_t network; /* 4 */
    uint64_t scoped;  /* 6 */
};

static size_t ruleset_size(int abi) { return abi >= 6 ? 24 : abi >= 4 ? 16 : 8; }

/* 0: the kernel has none, or it is switched off. Any other error must not pass for that: the wall would be
 * missing and nobody know. */
static bool interface_version(int *abi, struct failure *failure) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0 && failure_is_local(errno)) return failure_set_errno(failure, errno, "landlock_create_ruleset");
    *abi = version < 0 ? 0 : version > ABI_MAX ? ABI_MAX : (int)version;
    return true;
}

static const uint64_t read_rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t write_rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE;

static bool allow_beneath(int ruleset, int directory, uint64_t rights, struct failure *failure) {
    const struct landlock_path_beneath_attr beneath = {.allowed_access = rights, .parent_fd = directory};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0 ||
           failure_set_errno(failure, errno, "landlock_add_rule");
}

/* A service that sees / may read there (tables lie anywhere) but write nothing. */
static bool add_rules(int ruleset, const struct service_row *row, int directory, uint64_t handled, struct failure *failure) {
    if (!(row->rights & RIGHT_FILES) || row->root == ROOT_EMPTY) return true;
    if (row->root != ROOT_SLASH) return allow_beneath(ruleset, directory, (read_rights | write_rights) & handled, failure);
    int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (slash < 0) return failure_set_errno(failure, errno, "/");
    bool done = allow_beneath(ruleset, slash, read_rights, failure);
    close(slash);
    return done;
}

bool landlock_restrict(const struct service_row *row, int directory, struct failure *failure) {
    int abi = 0;
    if (!interface_version(&abi, failure)) return false;
    /* Who becomes other users and runs their programs is bounded by these users' rights. */
    if (abi == 0 || (row->rights & RIGHT_FORK)) return true;
    /* The first interface forbids every rename from one directory to another, which the queue lives on. */
    if (abi == 1 && (row->rights & RIGHT_FILES)) return true;
    struct ruleset wanted = {.filesystem = (UINT64_C(1) << filesystem_rights_of[abi]) - 1};
    if (abi >= 4 && !(row->rights & RIGHT_NETWORK)) wanted.network = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 6) wanted.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &wanted, ruleset_size(abi), 0);
    if (ruleset < 0) return failure_set_errno(failure, errno, "landlock_create_ruleset");
    bool done = add_rules(ruleset, row, directory, wanted.filesystem, failure);
    if (done && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        done = failure_set_errno(failure, errno, "landlock_restrict_self");
    close(ruleset);
    return done;
}
