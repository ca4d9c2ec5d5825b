/* tern check: the queue. While the mail system is down it is repaired, by its owner's
 * rights; while it runs it is only looked at. */
#include "tern.h"

#include "queue_check.h"
#include "queue_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAY 86400

static void show(const char *text, void *context) {
    (void)context;
    tern_complain("queue: %s", text);
}

static bool check_as_owner(bool running) {
    struct failure failure = {0};
    struct queue_check_counts counts = {.messages = 0};
    const struct queue_check_wishes wishes = {.structure = true,
                                              .content = !running,
                                              .purge = true,
                                              .repair = !running,
                                              .stale_after = running ? DAY : 1};
    int queue = queue_tool_open_queue(&failure);
    bool good = queue >= 0 && queue_tool_become_owner(queue, &failure) &&
                queue_check(queue, &wishes, &counts, show, NULL, &failure);
    if (!good)
        tern_complain("queue: the check ended early: %s", failure.text);
    if (queue >= 0)
        close(queue);
    return good && counts.damaged + counts.leftovers + counts.foreign + counts.folders_made == 0;
}

/* Takes master's lock, so that it does not start meanwhile; -1: it runs, or the lock cannot be had. */
static int lock_out_master(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open("pid/master.pid", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0 || fcntl(file, F_SETLK, &lock) == 0)
        return file;
    close(file);
    return -1;
}

bool check_queue(void) {
    int lock = lock_out_master();
    int status = 0;
    fflush(stderr);
    pid_t pid = fork();
    if (pid == 0)
        _exit(check_as_owner(lock < 0) ? EXIT_SUCCESS : EXIT_FAILURE);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        tern_complain("fork: %s", strerror(errno));
    else if (WIFSIGNALED(status))
        tern_complain("the check of the queue died on signal %d", WTERMSIG(status));
    if (lock >= 0)
        close(lock);
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}
