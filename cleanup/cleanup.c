/* cleanup: makes messages durable.
 *
 * Whoever takes a message in names it by an ID out of its reserve and commits it with the envelope; the
 * content comes in a sealed memory file or, where it is large, stands in a file that was asked for. cleanup
 * reads no content (it sums the bytes), expands the recipients by lookup, and answers only when the message
 * is safe: delivered by way of qmgr, or file and directory synced.
 *
 *   CLEANUP_IDS         ids.c
 *   CLEANUP_OPEN        open.c
 *   CLEANUP_RECIPIENTS  open.c
 *   CLEANUP_COMMIT      commit.c   where a message is made safe; direct.c, store.c
 *   CLEANUP_CANCEL      open.c
 *   LOGIN_USE           (here)     handed on to qmgr, which smtpd cannot reach
 *
 * It runs as tern-queue beneath queue_directory/queue, may open files there and
 * talk to lookup and qmgr, and nothing else (services.def). */
#include "cleanup.h"
#include "log.h"
#include "queue_folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#define LOGIN_PATIENCE 30000 /* ms, in all */
#define LOGIN_ATTEMPTS 20
#define LOGIN_PAUSE    100 /* ms */

static void writer_destroy(void *state) {
    struct writer *writer = state;
    while (writer->pending) {
        struct pending *pending = writer->pending;
        writer->pending = pending->next;
        pending_discard(writer->cleanup, &pending);
    }
    MEMORY_FREE(writer);
}

static struct writer *writer_of(struct ipc_request *request, struct cleanup *cleanup) {
    struct writer *writer = ipc_peer_state(request->peer);
    if (writer) return writer;
    writer = MEMORY_NEW(struct writer);
    writer->cleanup = cleanup;
    ipc_peer_set_state(request->peer, writer, writer_destroy);
    return writer;
}

/* A qmgr that is being replaced refuses, or is lost: its successor is asked. Counted twice is no harm. */
static void login_use(struct ipc_request *request, struct cleanup *cleanup) {
    struct ipc_reply reply = {.descriptor = -1};
    deadline until = deadline_in(LOGIN_PATIENCE);
    bool answered = false;
    for (unsigned attempt = 0; attempt < LOGIN_ATTEMPTS && !answered; attempt++) {
        if (attempt && task_sleep(LOGIN_PAUSE) == WAIT_CANCELLED) break;
        answered = ipc_ask(cleanup->qmgr, IPC_LOGIN_USE, request->message, -1, IPC_LOGIN_USED, until, request->arena,
                           &reply, NULL) == IPC_OK;
    }
    if (answered)
        ipc_answer(request, IPC_LOGIN_USED, reply.message, -1);
    else
        ipc_answer_failed(request, 451, "4.3.0", "what accounts send cannot be counted now");
}

static void dispatch(struct ipc_request *request, void *context) {
    struct writer *writer = writer_of(request, context);
    if (request->type == IPC_CLEANUP_IDS)
        cleanup_ids(request, writer);
    else if (request->type == IPC_CLEANUP_OPEN)
        cleanup_open(request, writer);
    else if (request->type == IPC_CLEANUP_RECIPIENTS)
        cleanup_recipients(request, writer);
    else if (request->type == IPC_CLEANUP_COMMIT)
        cleanup_commit(request, writer);
    else if (request->type == IPC_CLEANUP_CANCEL)
        cleanup_cancel(request, writer);
    else if (request->type == IPC_LOGIN_USE && str_equal(ipc_peer_program(request->peer), STR("smtpd")))
        login_use(request, writer->cleanup);
    else
        ipc_answer_failed(request, 451, "4.3.0", "cleanup does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, 10000, dispatch, service_context(service));
}

/* 0, or why not all could be looked at. */
static int empty_folder(int folder) {
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    int reason = errno;
    if (!listing && copy >= 0) close(copy);
    if (!listing) return reason;
    for (struct dirent *entry; (errno = 0, entry = readdir(listing)) != NULL;)
        if (entry->d_name[0] != '.') unlinkat(folder, entry->d_name, 0);
    reason = errno;
    closedir(listing);
    return reason;
}

/* What stands in tmp/ when no cleanup runs was never promised to anyone. A shared
 * lock tells a cleanup that is still draining after a reload from none at all. */
static void remove_abandoned(struct cleanup *cleanup) {
    bool alone = flock(cleanup->tmp, LOCK_EX | LOCK_NB) == 0;
    int reason = alone ? empty_folder(cleanup->tmp) : errno == EWOULDBLOCK ? 0 : errno;
    if (reason)
        log_warning("cannot look for what a crash left in tmp: %s; it stays until the next start", strerror(reason));
    if (flock(cleanup->tmp, LOCK_SH | LOCK_NB) < 0)
        log_warning("cannot lock tmp: %s; what a crash leaves there stays", strerror(errno));
}

static bool start(struct service *service, struct failure *failure) {
    struct cleanup *cleanup = MEMORY_NEW(struct cleanup);
    service_set_context(service, cleanup);
    cleanup->service = service;
    cleanup->config = service_config(service);
    cleanup->queue = service_directory(service);
    if (!queue_folder_open(cleanup->queue, "tmp", &cleanup->tmp, failure) ||
        !queue_folder_open(cleanup->queue, "new", &cleanup->new, failure) ||
        !queue_folder_open(cleanup->queue, "cur", &cleanup->cur, failure) ||
        !queue_folder_open(cleanup->queue, "hold", &cleanup->hold, failure) ||
        !queue_id_open(&cleanup->ids, cleanup->queue, cleanup->config->enable_long_queue_ids, failure))
        return false;
    cleanup->new_sync.directory = cleanup->new;
    cleanup->hold_sync.directory = cleanup->hold;
    cleanup->committing = map_create();
    cleanup->resolve = resolve_create(service, 0);
    cleanup->qmgr = service_client(service, "qmgr", NULL, NULL);
    remove_abandoned(cleanup);
    return true;
}

static const struct service_declaration declaration = {
    .program = "cleanup",
    .start = start,
    .session = session,
    .session_limit = 1000,
    .blocking_threads = 24,
};

int main(int argument_count, char **arguments) {
    signal(SIGIO, SIG_IGN); /* what the kernel sends when someone breaks a read lease (commit.c) */
    return service_run(argument_count, arguments, &declaration);
}
