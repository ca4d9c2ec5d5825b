/* log_pipes: one pipe a service to the log daemon, so that no service can
 * forge another's lines, and none is lost while the log daemon restarts. */
#include "master.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIPE_SIZE (256 * 1024)

struct log_pipe *log_pipe_open(struct master *master, const char *tag, struct failure *failure) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        failure_set_errno(failure, errno, "log pipe of %s", tag);
        return NULL;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK); /* the log daemon reads all it can at once */
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    struct log_pipe *pipe = MEMORY_NEW(struct log_pipe);
    snprintf(pipe->tag, sizeof pipe->tag, "%s", tag);
    pipe->read_end = ends[0];
    pipe->write_end = ends[1];
    pipe->users = 1;
    pipe->next = master->log_pipes;
    master->log_pipes = pipe;
    return pipe;
}

void log_pipe_release(struct master *master, struct log_pipe **pipe) {
    if (*pipe == NULL || --(*pipe)->users > 0) {
        *pipe = NULL;
        return;
    }
    for (struct log_pipe **at = &master->log_pipes; *at != NULL; at = &(*at)->next)
        if (*at == *pipe) {
            *at = (*pipe)->next;
            break;
        }
    close((*pipe)->write_end);
    close((*pipe)->read_end);
    free(*pipe);
    *pipe = NULL;
}

void log_pipes_dump(struct master *master) {
    char bytes[4096];
    for (struct log_pipe *pipe = master->log_pipes; pipe != NULL; pipe = pipe->next) {
        ssize_t got = read(pipe->read_end, bytes, sizeof bytes); /* it does not block; what began a trouble is enough */
        if (got > 0)
            fprintf(stderr, "%s says:\n%.*s", pipe->tag, (int)got, bytes);
    }
}
