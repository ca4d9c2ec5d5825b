/* Handing a message over: see submit.h. */
#include "submit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE    300000 /* ms */
#define ATTEMPTS    5
#define FIRST_PAUSE 20 /* ms before the second attempt; it doubles */

/* ---- the server runs */

static enum submit_result submit_to_pickup(int socket, const struct ipc_pickup_submit *request, int content,
                                           char queue_id[SUBMIT_ID_SIZE], struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result = ipc_ask_blocking(socket, IPC_PICKUP_SUBMIT, request, content, IPC_PICKUP_ACCEPTED,
                                              PATIENCE, arena, &reply, failure);
    enum submit_result submitted = result == IPC_OK ? SUBMIT_OK : SUBMIT_RETRY;
    if (result == IPC_OK) {
        const struct ipc_pickup_accepted *accepted = reply.message;
        snprintf(queue_id, SUBMIT_ID_SIZE, "%.*s", STR_ARGS(accepted->queue_id));
    }
    if (result == IPC_REFUSED) {
        const struct ipc_failed *failed = reply.message;
        failure_set(failure, "%.*s", STR_ARGS(failed->text));
        submitted = failed->reply_code < 500                  ? SUBMIT_RETRY
                    : str_starts(failed->status, STR("5.7.")) ? SUBMIT_NOT_PERMITTED
                                                              : SUBMIT_REFUSED;
    }
    arena_destroy(&arena);
    return submitted;
}

/* ---- the server is down or takes no more: what drop writes is "tern-drop 1 LENGTH\n", the packet, the content */

static bool write_all(int to, const char *data, size_t length) {
    while (length > 0) {
        ssize_t written = write(to, data, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        data += written;
        length -= (size_t)written;
    }
    return true;
}

static bool feed_drop(int to, const struct ipc_pickup_submit *request, int content) {
    struct buf packet = buf_make(0);
    char line[64], bytes[32768];
    bool good = ipc_encode(IPC_PICKUP_SUBMIT, 0, request, &packet);
    int length = snprintf(line, sizeof line, "tern-drop 1 %zu\n", packet.length);
    good = good && length > 0 && write_all(to, line, (size_t)length) && write_all(to, packet.data, packet.length);
    for (uint64_t done = 0; good && done < request->content_length;) {
        ssize_t got = pread(content, bytes, sizeof bytes, (off_t)done);
        good = got > 0 && write_all(to, bytes, (size_t)got);
        if (good) done += (uint64_t)got;
    }
    buf_free(&packet);
    return good;
}

static void become_drop(const struct config *config, int from) {
    char program[1024], folder[1024];
    snprintf(program, sizeof program, "%s/drop", config->daemon_directory.data);
    snprintf(folder, sizeof folder, "%s/maildrop", config->queue_directory.data);
    char *const arguments[] = {program, folder, NULL};
    char *const environment[] = {NULL};
    if (dup2(from, STDIN_FILENO) < 0) _exit(EX_OSERR);
    execve(program, arguments, environment);
    _exit(EX_UNAVAILABLE);
}

static enum submit_result submit_to_drop(const struct config *config, const struct ipc_pickup_submit *request,
                                         int content, struct failure *failure) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        failure_set_errno(failure, errno, "cannot make a pipe");
        return SUBMIT_RETRY;
    }
    pid_t child = fork();
    if (child == 0) become_drop(config, ends[0]);
    close(ends[0]);
    bool fed = child > 0 && feed_drop(ends[1], request, content);
    close(ends[1]);
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (fed && WIFEXITED(status) && WEXITSTATUS(status) == 0) return SUBMIT_OK;
    failure_prefix(failure, "the drop folder cannot be used, nor pickup");
    return SUBMIT_RETRY;
}

static void pause_before(unsigned attempt) {
    struct timespec pause = {.tv_nsec = 1000000L * (FIRST_PAUSE << (attempt - 1))};
    nanosleep(&pause, NULL);
}

enum submit_result submit_message(const struct config *config, const struct ipc_pickup_submit *request, int content,
                                  char queue_id[SUBMIT_ID_SIZE], struct failure *failure) {
    char path[1024];
    snprintf(path, sizeof path, "%s/public/pickup", config->queue_directory.data);
    signal(SIGPIPE, SIG_IGN); /* drop, or pickup, may end early; that is told by the exit status */
    /* A pickup that is being replaced does not take the message: its successor does. One that has enough of
     * this user's connections has room again soon; a user who keeps them open gets the drop folder. */
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (attempt > 0) pause_before(attempt);
        *failure = (struct failure){0};
        int socket = ipc_connect_path(path, failure);
        if (socket < 0) break;
        enum submit_result result = submit_to_pickup(socket, request, content, queue_id, failure);
        close(socket);
        if (result != SUBMIT_RETRY || failure->error_number != EPIPE) return result;
    }
    return submit_to_drop(config, request, content, failure);
}
