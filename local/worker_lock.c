/* Becoming the recipient, and giving up all that a mailbox does not need. */
#include <errno.h>
#include <grp.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "worker.h"

bool become_user(uint32_t uid, uint32_t gid, const char *user, struct failure *failure) {
    if (uid == 0) return failure_set(failure, "refusing to deliver as root");
    if (geteuid() != 0) {
        if (uid == geteuid()) return true;
        return failure_set(failure, "cannot become user %u without root", uid);
    }
    gid_t groups[1] = {gid};
    if ((!user[0] || initgroups(user, gid) < 0) && setgroups(1, groups) < 0)
        return failure_set_errno(failure, errno, "cannot set the groups");
    if (setresgid(gid, gid, gid) < 0) return failure_set_errno(failure, errno, "cannot become group %u", gid);
    if (setresuid(uid, uid, uid) < 0) return failure_set_errno(failure, errno, "cannot become user %u", uid);
    /* setresuid from root to another user clears all capability sets; check what matters. */
    if (setresuid(0, 0, 0) == 0) return failure_set(failure, "could become root again");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "cannot become undumpable");
    return true;
}

/* Files, threads of one process, the socket it has: no other sockets, no programs, no other users. */
static const int allowed[] = {
    SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv),
    SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(open), SCMP_SYS(close),
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fstatat64), SCMP_SYS(fstat64), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(fstatfs),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(lseek), SCMP_SYS(copy_file_range),
    SCMP_SYS(sendfile), SCMP_SYS(linkat), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlinkat),
    SCMP_SYS(mkdirat), SCMP_SYS(mkdir), SCMP_SYS(getdents64), SCMP_SYS(fcntl), SCMP_SYS(flock), SCMP_SYS(fadvise64),
    SCMP_SYS(readlink), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(gettid), SCMP_SYS(getpid),
    SCMP_SYS(geteuid), SCMP_SYS(getuid), SCMP_SYS(getegid), SCMP_SYS(getgid), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield),
    SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(prctl),
};

bool lock_in(struct failure *failure) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "cannot set no_new_privs");
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter) return failure_set(failure, "cannot make a system call filter");
    int result = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(allowed) && result == 0; i++) {
        /* A name that this machine does not have is left out. */
        if (allowed[i] >= 0) result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    if (result == 0) result = seccomp_load(filter);
    seccomp_release(filter);
    if (result == 0) return true;
    return failure_set_errno(failure, -result, "cannot load the system call filter");
}
