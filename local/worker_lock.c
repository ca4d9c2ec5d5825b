/* Giving up all that a mailbox does not need. */
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox.h"
#include "worker.h"

/* Files and threads of one process, the socket it has: no other sockets, no programs, no other users. */
bool worker_lock_in(struct failure *failure) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return failure_set_errno(failure, errno, "cannot set no_new_privs");
    return seccomp_restrict(RIGHT_FILES | RIGHT_THREADS | RIGHT_MAP_FILES, failure);
}
