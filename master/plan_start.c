/* See plan_child.h. */
#include "plan_child.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int plan_start_child(const char *config_directory, pid_t *pid, struct failure *failure) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        failure_set_errno(failure, errno, "socketpair");
        return -1;
    }
    *pid = fork();
    if (*pid < 0) {
        failure_set_errno(failure, errno, "fork");
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    if (*pid == 0) {
        close(pair[0]);
        _exit(plan_child(config_directory, pair[1]));
    }
    close(pair[1]);
    return pair[0];
}
