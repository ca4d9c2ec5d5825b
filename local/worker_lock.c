/* Becoming the recipient, and giving up all that a mailbox does not need. */
#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox.h"
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

/* Files and threads of one process, the socket it has: no other sockets, no programs, no other users. */
bool lock_in(struct failure *failure) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "cannot set no_new_privs");
    return seccomp_restrict(RIGHT_FILES | RIGHT_THREADS, failure);
}
