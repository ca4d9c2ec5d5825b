/* pid_file: pid/master.pid below the queue directory.
 *
 * Its lock, not its content, says that a master runs: a lock dies with its
 * process, so a stale file is only a file. A POSIX lock, because children do not
 * inherit it, and because anybody who asks for it is told the holder's pid. */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_FILE "pid/master.pid"

bool pid_file_take(struct failure *failure) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[32];
    int descriptor = open(PID_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor < 0)
        return failure_set_errno(failure, errno, "%s", PID_FILE);
    if (fcntl(descriptor, F_SETLK, &lock) < 0) {
        int lock_error = errno;
        if (fcntl(descriptor, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
            failure_set(failure, "master is already running, pid %d", (int)lock.l_pid);
        else
            failure_set_errno(failure, lock_error, "cannot lock %s", PID_FILE);
        close(descriptor);
        return false;
    }
    int length = snprintf(text, sizeof text, "%10d\n", (int)getpid());
    if (fchmod(descriptor, 0644) < 0 || ftruncate(descriptor, 0) < 0 || pwrite(descriptor, text, (size_t)length, 0) != length) {
        failure_set_errno(failure, errno, "cannot write %s", PID_FILE);
        close(descriptor);
        return false;
    }
    return true; /* the descriptor stays open, and with it the lock */
}
