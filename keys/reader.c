/* The helper's life, and the parent's end of its socket. */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "material.h"
#include "memory.h"
#include "sandbox.h"
#include "task.h"

enum {
    LOOK_PAUSE_MS = 1000,    /* between two looks at the files */
    FILES_PER_SECOND = 1000, /* of a longer list the pause grows, so that looking costs next to nothing */
    SETTLE_MS = 100,         /* after a change: a certificate and its key are rarely written at the same moment */
};

#define MATERIAL_MOST ((size_t)512 << 20)

/* ---- the helper */

/* An ordinary account with the one capability; root's other powers are gone for good. */
static bool become(const struct config *config, struct failure *failure) {
    struct buf name = buf_make(100);
    cap_t set = cap_init();
    const cap_value_t kept = CAP_DAC_READ_SEARCH;
    buf_printf(&name, "%.*s-keys", STR_ARGS(config->mail_owner));
    const struct passwd *account = getpwnam(buf_string(&name));
    bool good = account && account->pw_uid != 0 && set;
    if (!good) failure_set(failure, "there is no account %s", buf_string(&name));
    buf_free(&name);
    for (cap_value_t capability = 0; good && cap_get_bound(capability) >= 0; capability++)
        if (capability != kept && cap_drop_bound(capability) < 0)
            good = failure_set_errno(failure, errno, "bounding set");
    if (good)
        good = (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setgroups(0, NULL) == 0 &&
                setresgid(account->pw_gid, account->pw_gid, account->pw_gid) == 0 &&
                setresuid(account->pw_uid, account->pw_uid, account->pw_uid) == 0 &&
                cap_set_flag(set, CAP_PERMITTED, 1, &kept, CAP_SET) == 0 &&
                cap_set_flag(set, CAP_EFFECTIVE, 1, &kept, CAP_SET) == 0 && cap_set_proc(set) == 0) ||
               failure_set_errno(failure, errno, "change of user");
    if (set) cap_free(set);
    return good;
}

static bool lock_in(const struct config *config, bool is_private, struct failure *failure) {
    /* As a service that sees / reads there, and writes nowhere. */
    static const struct service_row row = {
        .program = "keys-reader", .root = ROOT_SLASH, .rights = RIGHT_FILES | RIGHT_MAP_FILES, .peers = ""};
    const struct rlimit none = {0, 0};
    if (!is_private && !become(config, failure)) return false;
    if (setrlimit(RLIMIT_CORE, &none) < 0) return failure_set_errno(failure, errno, "setrlimit");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "no_new_privs");
#ifndef TERN_SANITIZERS
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "dumpable");
#endif
    return landlock_restrict(&row, -1, failure) && seccomp_restrict(row.rights, failure);
}

static bool send_all(int socket, const void *bytes, size_t length) {
    const char *next = bytes;
    while (length > 0) {
        ssize_t sent = send(socket, next, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        next += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Sleeps until it is time to look again. False: the parent has gone. */
static bool pause_for(int socket, int milliseconds) {
    struct pollfd end = {.fd = socket, .events = POLLIN};
    return poll(&end, 1, milliseconds) == 0;
}

static int pause_between_looks(const struct material_gathering *gathering) {
    size_t seconds = gathering->watch_count / FILES_PER_SECOND;
    return LOOK_PAUSE_MS * (int)(1 + (seconds > 60 ? 60 : seconds));
}

static bool send_material(const struct config *config, int socket, struct material_gathering *gathering) {
    struct buf material = buf_make(0);
    material_gather(gathering, config, &material);
    uint64_t length = material.length;
    bool good = send_all(socket, &length, sizeof length) && send_all(socket, material.data, material.length);
    buf_free_secret(&material);
    return good;
}

NO_RETURN static void live(const struct config *config, bool is_private, int socket) {
    struct failure failure = {0};
    struct material_gathering gathering = {0};
    prctl(PR_SET_NAME, "keys-reader");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_IGN); /* a terminal's or an operator's; it ends with the parent */
    if (!lock_in(config, is_private, &failure)) {
        fprintf(stderr, "keys: reader: %s\n", failure.text);
        _exit(1);
    }
    while (send_material(config, socket, &gathering)) {
        bool alive = true;
        while (alive && !material_changed(&gathering))
            alive = pause_for(socket, pause_between_looks(&gathering));
        material_free(&gathering);
        if (!alive || !pause_for(socket, SETTLE_MS)) break;
    }
    _exit(0);
}

/* ---- the parent */

/* The number is above all that master gave, which the helper must not hold. */
static void forget_inherited(int *socket) {
    int kept = fcntl(*socket, F_DUPFD_CLOEXEC, 100);
    if (kept < 0) _exit(1);
    close_range(3, (unsigned)kept - 1, 0);
    close_range((unsigned)kept + 1, ~0U, 0);
    *socket = kept;
}

bool reader_start(const struct config *config, bool is_private, int *socket, struct failure *failure) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return failure_set_errno(failure, errno, "socketpair");
    pid_t child = fork();
    if (child == 0) {
        close(pair[0]);
        forget_inherited(&pair[1]);
        live(config, is_private, pair[1]);
    }
    int reason = errno;
    close(pair[1]);
    if (child < 0) {
        close(pair[0]);
        return failure_set_errno(failure, reason, "fork");
    }
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    *socket = pair[0];
    return true;
}

static bool receive_all(int socket, char *bytes, size_t length, struct failure *failure) {
    while (length > 0) {
        ssize_t got = recv(socket, bytes, length, 0);
        if (got > 0) {
            bytes += got;
            length -= (size_t)got;
            continue;
        }
        if (got == 0) return failure_set(failure, "the process that reads the files has gone");
        if (errno != EAGAIN && errno != EINTR) return failure_set_errno(failure, errno, "recv");
        if (task_wait_readable(socket, DEADLINE_NEVER) == WAIT_CANCELLED) return failure_set(failure, "cancelled");
    }
    return true;
}

bool reader_receive(int socket, struct buf *material, struct failure *failure) {
    uint64_t length = 0;
    if (!receive_all(socket, (char *)&length, sizeof length, failure)) return false;
    if (length > MATERIAL_MOST)
        return failure_set_errno(failure, ENOMEM, "certificates of %llu bytes", (unsigned long long)length);
    /* In one piece, so that no copy is left behind by growing. */
    char *room = buf_reserve(material, length + 1);
    if (!receive_all(socket, room, length, failure)) return false;
    buf_commit(material, length);
    return true;
}
