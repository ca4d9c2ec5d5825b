/* The system call filter of each set of rights.
 *
 * What is not listed answers EPERM and is logged by the kernel; what nobody but
 * an intruder would call ends the process at once. Calls that come in a harmless
 * and a dangerous kind are allowed by their arguments. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"
#include "sandbox.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

struct call {
    int number;
    unsigned rights; /* any of these allows it; 0: everybody may */
};

#define FILES RIGHT_FILES
static const struct call allowed_calls[] = {
    /* bytes through what is open */
    {SCMP_SYS(read), 0}, {SCMP_SYS(readv), 0}, {SCMP_SYS(pread64), 0}, {SCMP_SYS(preadv), 0}, {SCMP_SYS(preadv2), 0}, {SCMP_SYS(write), 0},
    {SCMP_SYS(writev), 0}, {SCMP_SYS(pwrite64), 0}, {SCMP_SYS(pwritev), 0}, {SCMP_SYS(lseek), 0}, {SCMP_SYS(sendfile), 0},
    {SCMP_SYS(close), 0}, {SCMP_SYS(close_range), 0}, {SCMP_SYS(dup), 0}, {SCMP_SYS(dup2), 0}, {SCMP_SYS(dup3), 0},
    {SCMP_SYS(fstat), 0}, {SCMP_SYS(fadvise64), 0}, {SCMP_SYS(pipe2), 0}, /* fcntl is below */
    {SCMP_SYS(recvmsg), 0}, {SCMP_SYS(sendmsg), 0}, {SCMP_SYS(recvfrom), 0}, {SCMP_SYS(sendto), 0},
    {SCMP_SYS(recvmmsg), 0}, {SCMP_SYS(sendmmsg), 0}, {SCMP_SYS(shutdown), 0}, {SCMP_SYS(getsockopt), 0},
    {SCMP_SYS(getsockname), 0}, {SCMP_SYS(getpeername), 0}, /* setsockopt is below */
    /* waiting */
    {SCMP_SYS(epoll_create1), 0}, {SCMP_SYS(epoll_ctl), 0}, {SCMP_SYS(epoll_wait), 0}, {SCMP_SYS(epoll_pwait), 0},
    {SCMP_SYS(epoll_pwait2), 0}, {SCMP_SYS(poll), 0}, {SCMP_SYS(ppoll), 0}, {SCMP_SYS(select), 0}, {SCMP_SYS(pselect6), 0},
    {SCMP_SYS(eventfd2), 0}, {SCMP_SYS(timerfd_create), 0}, {SCMP_SYS(timerfd_settime), 0}, {SCMP_SYS(signalfd4), 0},
    {SCMP_SYS(futex), 0}, {SCMP_SYS(nanosleep), 0}, {SCMP_SYS(clock_nanosleep), 0}, {SCMP_SYS(sched_yield), 0},
    {SCMP_SYS(restart_syscall), 0}, {SCMP_SYS(alarm), 0}, {SCMP_SYS(setitimer), 0},
    /* memory; mmap and mprotect are below */
    {SCMP_SYS(munmap), 0}, {SCMP_SYS(mremap), 0}, {SCMP_SYS(madvise), 0}, {SCMP_SYS(brk), 0},
    {SCMP_SYS(membarrier), 0}, {SCMP_SYS(msync), RIGHT_MAP_FILES}, {SCMP_SYS(mincore), RIGHT_MAP_FILES},
    /* time, chance, self */
    {SCMP_SYS(clock_gettime), 0}, {SCMP_SYS(clock_getres), 0}, {SCMP_SYS(gettimeofday), 0}, {SCMP_SYS(time), 0},
    {SCMP_SYS(getrandom), 0}, {SCMP_SYS(getpid), 0}, {SCMP_SYS(getppid), 0}, {SCMP_SYS(gettid), 0}, {SCMP_SYS(getuid), 0},
    {SCMP_SYS(geteuid), 0}, {SCMP_SYS(getgid), 0}, {SCMP_SYS(getegid), 0}, {SCMP_SYS(uname), 0}, {SCMP_SYS(sysinfo), 0},
    {SCMP_SYS(getrusage), 0}, {SCMP_SYS(times), 0}, {SCMP_SYS(getcpu), 0}, {SCMP_SYS(sched_getaffinity), 0},
    {SCMP_SYS(rt_sigaction), 0}, {SCMP_SYS(rt_sigprocmask), 0}, {SCMP_SYS(rt_sigreturn), 0}, {SCMP_SYS(sigaltstack), 0},
    {SCMP_SYS(set_robust_list), 0}, {SCMP_SYS(rseq), 0}, {SCMP_SYS(exit), 0}, {SCMP_SYS(exit_group), 0},
    /* connections */
    {SCMP_SYS(accept4), RIGHT_ACCEPT}, {SCMP_SYS(accept), RIGHT_ACCEPT},
    {SCMP_SYS(connect), RIGHT_NETWORK | RIGHT_SYSLOG | RIGHT_LOCAL_SOCKETS}, {SCMP_SYS(bind), RIGHT_NETWORK},
    {SCMP_SYS(socketpair), RIGHT_FORK | RIGHT_PAIRS},
    /* files */
    {SCMP_SYS(open), FILES}, {SCMP_SYS(openat), FILES}, {SCMP_SYS(openat2), FILES}, {SCMP_SYS(stat), FILES},
    {SCMP_SYS(lstat), FILES}, {SCMP_SYS(newfstatat), FILES}, {SCMP_SYS(statx), FILES}, {SCMP_SYS(access), FILES},
    {SCMP_SYS(faccessat), FILES}, {SCMP_SYS(faccessat2), FILES}, {SCMP_SYS(readlink), FILES}, {SCMP_SYS(readlinkat), FILES},
    {SCMP_SYS(getdents64), FILES}, {SCMP_SYS(unlink), FILES}, {SCMP_SYS(unlinkat), FILES}, {SCMP_SYS(rename), FILES},
    {SCMP_SYS(renameat), FILES}, {SCMP_SYS(renameat2), FILES}, {SCMP_SYS(link), FILES}, {SCMP_SYS(linkat), FILES},
    {SCMP_SYS(mkdir), FILES}, {SCMP_SYS(mkdirat), FILES}, {SCMP_SYS(rmdir), FILES}, {SCMP_SYS(fsync), FILES},
    {SCMP_SYS(fdatasync), FILES}, {SCMP_SYS(sync_file_range), FILES}, {SCMP_SYS(ftruncate), FILES},
    {SCMP_SYS(fallocate), FILES}, {SCMP_SYS(copy_file_range), FILES}, {SCMP_SYS(fchmod), FILES}, {SCMP_SYS(utimensat), FILES},
    {SCMP_SYS(flock), FILES}, {SCMP_SYS(statfs), FILES}, {SCMP_SYS(fstatfs), FILES}, {SCMP_SYS(chdir), FILES},
    {SCMP_SYS(fchdir), FILES}, {SCMP_SYS(getcwd), FILES}, {SCMP_SYS(umask), FILES}, {SCMP_SYS(memfd_create), 0},
    {SCMP_SYS(inotify_init1), FILES}, {SCMP_SYS(inotify_add_watch), FILES}, {SCMP_SYS(inotify_rm_watch), FILES | RIGHT_PAIRS},
    /* processes */
    {SCMP_SYS(clone), RIGHT_FORK}, {SCMP_SYS(fork), RIGHT_FORK}, {SCMP_SYS(vfork), RIGHT_FORK}, {SCMP_SYS(execve), RIGHT_FORK},
    {SCMP_SYS(execveat), RIGHT_FORK}, {SCMP_SYS(wait4), RIGHT_FORK}, {SCMP_SYS(waitid), RIGHT_FORK},
    {SCMP_SYS(kill), RIGHT_FORK}, {SCMP_SYS(pidfd_open), RIGHT_FORK}, {SCMP_SYS(pidfd_send_signal), RIGHT_FORK},
    {SCMP_SYS(seccomp), RIGHT_FORK}, /* its children may be locked in further */
    {SCMP_SYS(setsid), RIGHT_FORK}, {SCMP_SYS(setpgid), RIGHT_FORK}, {SCMP_SYS(prctl), RIGHT_FORK},
    {SCMP_SYS(prlimit64), RIGHT_FORK}, {SCMP_SYS(arch_prctl), RIGHT_FORK}, {SCMP_SYS(set_tid_address), RIGHT_FORK},
    {SCMP_SYS(setuid), RIGHT_BECOME}, {SCMP_SYS(setgid), RIGHT_BECOME}, {SCMP_SYS(setresuid), RIGHT_BECOME},
    {SCMP_SYS(setresgid), RIGHT_BECOME}, {SCMP_SYS(setgroups), RIGHT_BECOME}, {SCMP_SYS(getgroups), RIGHT_BECOME},
    {SCMP_SYS(getresuid), RIGHT_BECOME}, {SCMP_SYS(getresgid), RIGHT_BECOME}, {SCMP_SYS(fchown), RIGHT_BECOME},
    {SCMP_SYS(fchownat), RIGHT_BECOME}, {SCMP_SYS(capset), RIGHT_BECOME}, {SCMP_SYS(capget), RIGHT_BECOME},
    {SCMP_SYS(seccomp), RIGHT_BECOME}, /* whoever it becomes locks itself in further */
#ifdef TERN_SANITIZERS
    /* what the sanitizers' own run time does: it looks at /proc, symbolises, and finds leaks from a tracer thread */
    {SCMP_SYS(openat), 0}, {SCMP_SYS(readlink), 0}, {SCMP_SYS(readlinkat), 0}, {SCMP_SYS(newfstatat), 0}, {SCMP_SYS(stat), 0},
    {SCMP_SYS(getdents64), 0}, {SCMP_SYS(prctl), 0}, {SCMP_SYS(clone), 0}, {SCMP_SYS(wait4), 0}, {SCMP_SYS(ptrace), 0},
    {SCMP_SYS(prlimit64), 0}, {SCMP_SYS(mmap), 0}, {SCMP_SYS(arch_prctl), 0}, {SCMP_SYS(capget), 0},
#endif
};
#undef FILES

/* Calls that are worth the process when its rights do not name them. */
static const int deadly_calls[] = {
    SCMP_SYS(execve),  SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(bpf),     SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(mount),
    SCMP_SYS(pivot_root), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(keyctl), SCMP_SYS(add_key),
    SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(open_by_handle_at),
};

static bool is_allowed(int number, unsigned rights) {
    for (size_t i = 0; i < ARRAY_LENGTH(allowed_calls); i++) {
        const struct call *call = &allowed_calls[i];
        if (call->number == number && (call->rights == 0 || (call->rights & rights))) return true;
    }
    return false;
}

static int add_plain(scmp_filter_ctx filter, unsigned rights) {
    int result = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(allowed_calls) && result == 0; i++) {
        const struct call *call = &allowed_calls[i];
        if (call->rights == 0 || (call->rights & rights)) result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(deadly_calls) && result == 0; i++)
        if (!is_allowed(deadly_calls[i], rights)) result = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly_calls[i], 0);
    return result;
}

/* Allows a call when the bits of one argument that mask names have that value. */
static int add_masked(scmp_filter_ctx filter, int number, unsigned argument, uint64_t mask, uint64_t value) {
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1, SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, mask, value));
}

/* No memory that can be executed; no mapping of files without that right. */
static int add_memory(scmp_filter_ctx filter, unsigned rights) {
    int result = add_masked(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
    if (result < 0) return result;
    if (rights & RIGHT_FORK) /* what it executes maps its code */
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 0);
    if (rights & RIGHT_MAP_FILES) return add_masked(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                            SCMP_CMP64(3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
}

static int add_socket(scmp_filter_ctx filter, int family) {
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_CMP64(0, SCMP_CMP_EQ, (uint64_t)family));
}

static int add_sockets(scmp_filter_ctx filter, unsigned rights) {
    int result = 0;
    if (rights & RIGHT_NETWORK) {
        result = add_socket(filter, AF_INET);
        if (result == 0) result = add_socket(filter, AF_INET6);
    }
    if (result == 0 && (rights & (RIGHT_SYSLOG | RIGHT_LOCAL_SOCKETS))) result = add_socket(filter, AF_UNIX);
    return result;
}

/* What fcntl may be asked. F_SETOWN and F_SETSIG are not among it: with them the kernel sends a signal
 * of one's choice to any process of the same user. */
static int add_descriptor_commands(scmp_filter_ctx filter, unsigned rights) {
    static const struct {
        int command;
        unsigned rights; /* 0: everybody may */
    } commands[] = {
        {F_DUPFD, 0}, {F_DUPFD_CLOEXEC, 0}, {F_GETFD, 0}, {F_SETFD, 0}, {F_GETFL, 0}, {F_SETFL, 0},
        {F_GETLK, RIGHT_FILES}, {F_SETLK, RIGHT_FILES}, {F_SETLKW, RIGHT_FILES}, {F_OFD_GETLK, RIGHT_FILES},
        {F_OFD_SETLK, RIGHT_FILES}, {F_OFD_SETLKW, RIGHT_FILES}, {F_GETLEASE, RIGHT_FILES}, {F_SETLEASE, RIGHT_FILES},
        {F_GET_SEALS, 0}, {F_ADD_SEALS, 0},
    };
    int result = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(commands) && result == 0; i++)
        if (commands[i].rights == 0 || (commands[i].rights & rights))
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                      SCMP_CMP64(1, SCMP_CMP_EQ, (uint64_t)commands[i].command));
    return result;
}

/* The options that sockets may be given. SO_LINGER is not among them: a socket with it that is sent to
 * another process makes that one wait in close(), as long as the sender likes. Nor are filters, which stay
 * on a listening socket when the process that set them is long gone. */
static int add_socket_options(scmp_filter_ctx filter, unsigned rights) {
    const unsigned connecting = RIGHT_NETWORK | RIGHT_LOCAL_SOCKETS;
    const struct {
        int level, option; /* option -1: any */
        unsigned rights;   /* 0: everybody may */
    } options[] = {
        {SOL_SOCKET, SO_SNDBUF, 0}, {SOL_SOCKET, SO_RCVBUF, 0}, {SOL_SOCKET, SO_KEEPALIVE, 0},
        {IPPROTO_TCP, TCP_NODELAY, 0}, {IPPROTO_TCP, TCP_CORK, 0}, {IPPROTO_TCP, TCP_KEEPIDLE, 0},
        {IPPROTO_TCP, TCP_KEEPINTVL, 0}, {IPPROTO_TCP, TCP_KEEPCNT, 0}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 0},
        {SOL_SOCKET, SO_REUSEADDR, connecting}, {SOL_SOCKET, SO_RCVTIMEO, connecting},
        {SOL_SOCKET, SO_SNDTIMEO, connecting}, {SOL_SOCKET, SO_PASSCRED, connecting},
        {IPPROTO_IP, -1, connecting}, {IPPROTO_IPV6, -1, connecting},
    };
    int result = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(options) && result == 0; i++) {
        const struct scmp_arg_cmp level = SCMP_CMP64(1, SCMP_CMP_EQ, (uint64_t)options[i].level);
        if (options[i].rights != 0 && !(options[i].rights & rights)) continue;
        if (options[i].option < 0)
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 1, level);
        else
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, level,
                                      SCMP_CMP64(2, SCMP_CMP_EQ, (uint64_t)options[i].option));
    }
    return result;
}

/* A thread is a clone that shares the process; clone3 hides its flags behind a pointer, and the C
 * library falls back from it. */
static int add_threads(scmp_filter_ctx filter, unsigned rights) {
    int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (result == 0 && (rights & RIGHT_THREADS) && !is_allowed(SCMP_SYS(clone), rights))
        result = add_masked(filter, SCMP_SYS(clone), 0, CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD);
    return result;
}

/* The form in which the C library writes fstat. (A path that is given all the same tells only what a
 * stat would, beneath the root directory.) */
static int add_status(scmp_filter_ctx filter, unsigned rights) {
    int result = 0;
    if (!is_allowed(SCMP_SYS(newfstatat), rights))
        result = add_masked(filter, SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH);
    if (result == 0 && !is_allowed(SCMP_SYS(statx), rights))
        result = add_masked(filter, SCMP_SYS(statx), 2, AT_EMPTY_PATH, AT_EMPTY_PATH);
    return result;
}

/* Limits can be read, threads named, the process can abort itself, descriptors asked what they hold. */
static int add_self(scmp_filter_ctx filter, unsigned rights) {
    int result = 0;
    if (!is_allowed(SCMP_SYS(prlimit64), rights)) result = add_masked(filter, SCMP_SYS(prlimit64), 2, UINT64_MAX, 0);
    if (result == 0 && !is_allowed(SCMP_SYS(prctl), rights)) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_CMP64(0, SCMP_CMP_EQ, PR_SET_NAME));
        if (result == 0)
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_CMP64(0, SCMP_CMP_EQ, PR_SET_VMA));
    }
    if (result == 0 && (rights & RIGHT_FORK)) /* the children's own process number is not known yet */
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 0);
    else if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                  SCMP_CMP64(0, SCMP_CMP_EQ, (uint64_t)getpid()));
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_CMP64(1, SCMP_CMP_EQ, FIONREAD));
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_CMP64(1, SCMP_CMP_EQ, FIONBIO));
    return result;
}

/* All rules. NULL: failure says why. */
static scmp_filter_ctx build(unsigned rights, struct failure *failure) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter) {
        failure_set(failure, "seccomp_init failed");
        return NULL;
    }
    /* For every thread; a newer libseccomp sorts the calls into a tree (2), an older one ignores that. */
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (result == 0) result = add_plain(filter, rights);
    if (result == 0) result = add_memory(filter, rights);
    if (result == 0) result = add_sockets(filter, rights);
    if (result == 0) result = add_descriptor_commands(filter, rights);
    if (result == 0) result = add_socket_options(filter, rights);
    if (result == 0) result = add_threads(filter, rights);
    if (result == 0) result = add_status(filter, rights);
    if (result == 0) result = add_self(filter, rights);
    if (result == 0) return filter;
    seccomp_release(filter);
    failure_set_errno(failure, -result, "system call filter");
    return NULL;
}

bool seccomp_restrict(unsigned rights, struct failure *failure) {
    scmp_filter_ctx filter = build(rights, failure);
    if (!filter) return false;
    int result = seccomp_load(filter);
    seccomp_release(filter);
    return result == 0 || failure_set_errno(failure, -result, "system call filter");
}

/* libseccomp writes its program to a descriptor only. */
static bool export(scmp_filter_ctx filter, struct sock_fprog *program, struct failure *failure) {
    int file = memfd_create("filter", MFD_CLOEXEC);
    if (file < 0) return failure_set_errno(failure, errno, "memfd_create");
    int result = seccomp_export_bpf(filter, file);
    off_t size = result == 0 ? lseek(file, 0, SEEK_END) : -1;
    size_t count = size > 0 ? (size_t)size / sizeof(struct sock_filter) : 0;
    struct sock_filter *instructions = memory_allocate(count + 1, sizeof *instructions);
    bool good = count > 0 && count <= UINT16_MAX && pread(file, instructions, (size_t)size, 0) == size;
    close(file);
    if (!good) {
        MEMORY_FREE(instructions);
        return failure_set(failure, "the system call filter cannot be made");
    }
    *program = (struct sock_fprog){.len = (unsigned short)count, .filter = instructions};
    return true;
}

bool seccomp_make(unsigned rights, struct sock_fprog *program, struct failure *failure) {
    scmp_filter_ctx filter = build(rights, failure);
    if (!filter) return false;
    bool good = export(filter, program, failure);
    seccomp_release(filter);
    return good;
}

bool seccomp_install(const struct sock_fprog *program, struct failure *failure) {
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, program) == 0 ||
           failure_set_errno(failure, errno, "system call filter");
}
