/* The process that stays root.
 *
 * PAM's modules are what the administrator chose: they read /etc/shadow, connect to
 * directories, start programs, become the user for a moment. The filter that tern's
 * daemons live in would break some of them in ways that show on the day somebody needs
 * to log in. So they run outside of it, and what stands in its place is that nothing
 * reaches them but one packet with four short texts, from a process that is nobody:
 * every check is a process of its own that ends with it, that has the capabilities below
 * and no others, cannot get more by set-uid programs, and may not call what takes a
 * kernel apart. Without root (a private instance) it may do what its user may. */
#include "pam.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "memory.h"
#include "service.h"

enum { CHECKS_MAX = 200, PACKET_ROOM = 4096, CPU_SECONDS = 20 };

struct running {
    pid_t pid; /* 0: a free place */
    uint32_t serial;
    deadline until;
};

struct checker {
    const struct config *config;
    int socket, ended; /* ended: tells of children */
    struct running running[CHECKS_MAX];
    sigset_t mask; /* of signals, as a child is to have it */
};

/* ---- what root leaves behind */

/* pam_unix reads /etc/shadow and writes a changed one; modules become the user; others write counters. */
static const cap_value_t kept_capabilities[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                                                CAP_KILL,  CAP_SETGID,       CAP_SETUID,          CAP_AUDIT_WRITE};

static bool is_kept(cap_value_t capability) {
    for (size_t i = 0; i < ARRAY_LENGTH(kept_capabilities); i++)
        if (kept_capabilities[i] == capability) return true;
    return false;
}

static bool drop_capabilities(struct failure *failure) {
    cap_t set = cap_init();
    bool good = set != NULL;
    for (cap_value_t capability = 0; good && cap_get_bound(capability) >= 0; capability++)
        if (!is_kept(capability)) good = cap_drop_bound(capability) == 0;
    for (size_t i = 0; good && i < ARRAY_LENGTH(kept_capabilities); i++)
        /* What this container has not got it need not have. */
        if (cap_get_bound(kept_capabilities[i]) == 1)
            good = cap_set_flag(set, CAP_PERMITTED, 1, &kept_capabilities[i], CAP_SET) == 0 &&
                   cap_set_flag(set, CAP_EFFECTIVE, 1, &kept_capabilities[i], CAP_SET) == 0;
    good = good && cap_set_proc(set) == 0;
    int error = errno;
    if (set) cap_free(set);
    return good || failure_set_errno(failure, error, "capabilities");
}

static bool forbid_calls(struct failure *failure) {
    static const int forbidden[] = {
        SCMP_SYS(ptrace),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(bpf),
        SCMP_SYS(init_module),
        SCMP_SYS(finit_module),
        SCMP_SYS(delete_module),
        SCMP_SYS(kexec_load),
        SCMP_SYS(mount),
        SCMP_SYS(umount2),
        SCMP_SYS(pivot_root),
        SCMP_SYS(chroot),
        SCMP_SYS(unshare),
        SCMP_SYS(setns),
        SCMP_SYS(perf_event_open),
        SCMP_SYS(userfaultfd),
        SCMP_SYS(io_uring_setup),
        SCMP_SYS(open_by_handle_at),
        SCMP_SYS(reboot),
        SCMP_SYS(swapon),
        SCMP_SYS(swapoff),
        SCMP_SYS(settimeofday),
        SCMP_SYS(clock_settime),
        SCMP_SYS(iopl),
        SCMP_SYS(ioperm),
        SCMP_SYS(syslog),
        SCMP_SYS(quotactl),
        SCMP_SYS(acct),
    };
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int result = filter ? 0 : -ENOMEM;
    for (size_t i = 0; i < ARRAY_LENGTH(forbidden) && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
    if (result == 0) result = seccomp_load(filter);
    if (filter) seccomp_release(filter);
    return result == 0 || failure_set_errno(failure, -result, "system call filter");
}

static bool lock_in(const struct config *config, struct failure *failure) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) < 0) return failure_set_errno(failure, errno, "setrlimit");
    umask(077);
#ifndef TERN_SANITIZERS /* whose leak finder attaches as a debugger does */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "dumpable");
#endif
    /* An ordinary user's passwords are checked by set-gid programs (unix_chkpwd). */
    if (geteuid() != 0) return true;
    if (setgid(0) < 0 || setgroups(0, NULL) < 0) return failure_set_errno(failure, errno, "groups");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "no_new_privs");
    return drop_capabilities(failure) && (!config->sandbox || forbid_calls(failure));
}

/* ---- answers */

static void send_packet(int socket, enum ipc_type type, uint32_t serial, const void *message) {
    struct buf packet = buf_make(0);
    ssize_t sent = -1;
    if (ipc_encode(type, serial, message, &packet)) do
            sent = send(socket, packet.data, packet.length, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EPIPE && errno != ECONNRESET) log_warning("an answer cannot be sent: %s", strerror(errno));
    buf_free(&packet);
}

static void answer(int socket, uint32_t serial, enum pam_verdict verdict, const char *reason) {
    static const struct ipc_done done;
    struct ipc_failed failed = pam_failure(verdict, reason);
    if (verdict == PAM_VERDICT_GOOD)
        send_packet(socket, IPC_DONE, serial, &done);
    else
        send_packet(socket, IPC_FAILED, serial, &failed);
}

/* ---- one check */

NO_RETURN static void run_check(const struct checker *checker, const struct ipc_pam_check *check, uint32_t serial) {
    const struct rlimit seconds = {CPU_SECONDS, CPU_SECONDS};
    char reason[200] = "";
    prctl(PR_SET_NAME, "pam-check", 0, 0, 0);
    setpgid(0, 0); /* programs that modules start end with it */
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &checker->mask, NULL);
    close(checker->ended);
    setrlimit(RLIMIT_CPU, &seconds);
    enum pam_verdict verdict = pam_check_run(check, checker->config->pam_directory, reason);
    answer(checker->socket, serial, verdict, reason);
    _exit(0);
}

/* ---- the process */

static struct running *free_place(struct checker *checker) {
    for (size_t i = 0; i < CHECKS_MAX; i++)
        if (checker->running[i].pid == 0) return &checker->running[i];
    return NULL;
}

static void begin_check(struct checker *checker, const struct ipc_pam_check *check, uint32_t serial) {
    struct running *place = free_place(checker);
    pid_t child = place ? fork() : -1;
    if (child == 0) run_check(checker, check, serial);
    if (child < 0) {
        answer(checker->socket, serial, PAM_VERDICT_LATER, place ? "cannot fork" : "too many checks");
        return;
    }
    setpgid(child, child);
    *place = (struct running){child, serial, deadline_in(checker->config->pam_time_limit * 1000)};
}

/* False: the daemon has gone. */
static bool receive(struct checker *checker) {
    char packet[PACKET_ROOM];
    struct ipc_pam_check check;
    enum ipc_type type;
    uint32_t serial;
    ssize_t got = recv(checker->socket, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0 || (size_t)got > sizeof packet) return false;
    struct str bytes = str_make(packet, (size_t)got);
    bool good = ipc_peek(bytes, &type, &serial) && type == IPC_PAM_CHECK && ipc_decode(bytes, type, &check);
    if (good && pam_service_is_plain(check.service))
        begin_check(checker, &check, serial);
    else if (good)
        answer(checker->socket, serial, PAM_VERDICT_LATER, "no name of a PAM service");
    memory_wipe(packet, sizeof packet);
    return good;
}

/* What a check's modules have started and left behind is our child once the check has ended, though it made a session
 * of its own (pam_exec does). The kernel lists them; where it does not, they end by themselves. */
static void end_orphans(const struct checker *checker) {
    char path[64], list[4096];
    struct str rest, word;
    uint64_t pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file >= 0 ? read(file, list, sizeof list) : 0;
    if (file >= 0) close(file);
    rest = str_make(list, got > 0 ? (size_t)got : 0);
    while (str_next_word(&rest, " \n", &word)) {
        bool known = !str_to_u64(word, INT32_MAX, &pid);
        for (size_t i = 0; i < CHECKS_MAX && !known; i++)
            known = checker->running[i].pid == (pid_t)pid;
        if (!known) kill((pid_t)pid, SIGKILL);
    }
}

/* Whoever ended without an answer gets one. */
static void reap(struct checker *checker) {
    int status;
    pid_t pid;
    bool any = false;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        any = true;
        for (size_t i = 0; i < CHECKS_MAX; i++) {
            struct running *running = &checker->running[i];
            if (running->pid != pid) continue;
            kill(-pid, SIGKILL); /* what it has started */
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                answer(checker->socket, running->serial, PAM_VERDICT_LATER,
                       deadline_left(running->until) == 0 ? "PAM does not answer in time" : "a PAM module broke");
            *running = (struct running){0};
        }
    }
    if (any) end_orphans(checker);
}

/* Ends those past their time; milliseconds until the next is, -1: none runs. */
static int end_late(struct checker *checker) {
    int64_t next = -1;
    for (size_t i = 0; i < CHECKS_MAX; i++) {
        const struct running *running = &checker->running[i];
        if (running->pid == 0) continue;
        int64_t left = deadline_left(running->until);
        if (left == 0) {
            kill(-running->pid, SIGKILL);
            kill(running->pid, SIGKILL);
            left = 1000; /* its end is told of */
        }
        if (next < 0 || left < next) next = left;
    }
    return next < 0 ? -1 : (int)next;
}

static void end_all(const struct checker *checker) {
    for (size_t i = 0; i < CHECKS_MAX; i++)
        if (checker->running[i].pid > 0) kill(-checker->running[i].pid, SIGKILL);
}

static void watch_children(struct checker *checker) {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &children, &checker->mask);
    checker->ended = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
}

void checker_run(const struct config *config, int socket) {
    struct checker *checker = MEMORY_NEW(struct checker);
    checker->config = config;
    checker->socket = socket;
    signal(SIGTERM, SIG_IGN); /* it ends with the daemon */
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    watch_children(checker);
    for (;;) {
        struct signalfd_siginfo told;
        struct pollfd watched[2] = {{.fd = socket, .events = POLLIN}, {.fd = checker->ended, .events = POLLIN}};
        int ready = poll(watched, 2, end_late(checker));
        if (ready < 0 && errno != EINTR) break;
        while (read(checker->ended, &told, sizeof told) > 0) {
        }
        reap(checker);
        if (ready > 0 && watched[0].revents && !receive(checker)) break;
    }
    end_all(checker);
    _exit(0);
}

bool checker_prepare(const struct config *config, int *socket, struct failure *failure) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return failure_set_errno(failure, errno, "cannot make a socket for checks");
    pid_t child = fork();
    if (child < 0) return failure_set_errno(failure, errno, "cannot fork the process for checks");
    if (child == 0) {
        struct failure reason;
        log_open(INHERITED_LOG, "pam");
        prctl(PR_SET_NAME, "pam-checker", 0, 0, 0);
        if (dup2(pair[1], INHERITED_CONTROL) < 0 || close_range(INHERITED_CONFIGURATION, ~0U, 0) < 0) {
            log_warning("no process for checks: cannot leave the daemon's descriptors: %s", strerror(errno));
            _exit(1);
        }
        fcntl(INHERITED_CONTROL, F_SETFD, FD_CLOEXEC);
        fcntl(INHERITED_LOG, F_SETFD, FD_CLOEXEC);
        if (!lock_in(config, &reason)) {
            log_warning("no process for checks: %s", reason.text);
            _exit(1);
        }
        checker_run(config, INHERITED_CONTROL);
    }
    close(pair[1]);
    *socket = pair[0];
    return true;
}
