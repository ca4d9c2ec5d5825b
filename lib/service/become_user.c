/* See become_user.h. */
#include "become_user.h"

#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

bool become_user(uint32_t uid, uint32_t gid, const char *user, struct failure *failure) {
    if (uid == 0) return failure_set(failure, "refusing to serve as root");
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
