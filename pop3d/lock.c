/* One POP3 session at a time (RFC 1939 section 4). IMAP beside it does no harm: numbers are the session's own. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "pop3.h"

#define LOCK_FILE  "tern-pop3"
#define LOCK_TIME  1000    /* ms: a client that comes back at once meets its old session as it ends */
#define LOCK_PAUSE 5000000 /* ns */

static enum pop3_lock wait_for_lock(int file, struct failure *failure) {
    deadline until = deadline_in(LOCK_TIME);
    while (flock(file, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) {
            failure_set_errno(failure, errno, "cannot lock " LOCK_FILE);
            return LOCK_FAILED;
        }
        if (deadline_left(until) == 0) return LOCK_IN_USE;
        struct timespec pause = {.tv_nsec = LOCK_PAUSE};
        nanosleep(&pause, NULL);
    }
    return LOCK_TAKEN;
}

/* The file's content is the date of the last login, in seconds. */
static enum pop3_lock check_delay(int file, unsigned login_delay, struct failure *failure) {
    char text[24];
    int64_t now = clock_date() / CLOCK_SECOND;
    uint64_t last = 0;
    ssize_t length = pread(file, text, sizeof text, 0);
    bool known = length > 0 && str_to_u64(str_trim(str_make(text, (size_t)length)), INT64_MAX, &last);
    if (known && (int64_t)last <= now && now - (int64_t)last < (int64_t)login_delay) return LOCK_TOO_SOON;
    int size = snprintf(text, sizeof text, "%lld\n", (long long)now);
    if (pwrite(file, text, (size_t)size, 0) == size) return LOCK_TAKEN;
    failure_set_errno(failure, errno ? errno : ENOSPC, "cannot write " LOCK_FILE);
    return LOCK_FAILED;
}

enum pop3_lock pop3_lock_take(struct store *store, unsigned login_delay, int *lock, struct failure *failure) {
    int file = openat(store_directory(store), LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        failure_set_errno(failure, errno, "cannot open " LOCK_FILE);
        return LOCK_FAILED;
    }
    enum pop3_lock result = wait_for_lock(file, failure);
    if (result == LOCK_TAKEN && login_delay > 0) result = check_delay(file, login_delay, failure);
    if (result == LOCK_TAKEN)
        *lock = file;
    else
        close(file);
    return result;
}

void pop3_lock_release(int *lock) {
    if (*lock >= 0) close(*lock);
    *lock = -1;
}
