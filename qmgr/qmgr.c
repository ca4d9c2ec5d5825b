/* qmgr: owns the queue.
 *
 *   incoming.c     what arrives: told by cleanup, or found in new/
 *   message.c      a message taken up: read, checked, resolved, put in line
 *   logins.c       what accounts send, their limits, and the brake; logins_notice.c
 *   direct.c       a message that cleanup would rather not write to the queue
 *   destination.c  whose turn it is; concurrency windows
 *   deliver.c      one delivery by an agent
 *   finish.c       the end of a pass: notices, removal, deferral
 *   deferred.c     how the next attempt is chosen, and the schedule index
 *   list.c         mailq
 *   change.c       flush, hold, release, delete, expire; requeue.c
 *   move.c         from one folder of the queue to another
 *   remove.c       queue files removed in batches
 *
 * It runs as tern-queue beneath queue_directory/queue and hands agents open
 * descriptors, never paths. After a kill at any step it resumes from the files:
 * each step is in a message's file before the next begins. */
#include "qmgr.h"
#include "intake.h"
#include "log.h"
#include "logins.h"
#include "queue_folder.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Who may ask what: cleanup tells of new mail; accounts that are permitted may list and
 * flush; root and the queue's own user may change, too. */
static bool may_change(const struct ipc_request *request) {
    uint32_t uid = ipc_peer_uid(request->peer);
    return uid == 0 || uid == (uint32_t)geteuid();
}

/* A daemon that master connected is no account's. */
static bool may(const struct ipc_request *request, const struct permission *permission) {
    return may_change(request) || ipc_peer_service(request->peer).length > 0 ||
           permission_has(permission, ipc_peer_uid(request->peer));
}

/* A draining process leaves it to the successor: with the descriptor its lock goes. */
static void note_stored(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_qmgr_new *notice = request->message;
    if (direct_adopt(request, qmgr) || qmgr->draining) return;
    incoming_note(qmgr, notice->queue_id, request->descriptor, notice->perhaps_delivered);
    request->descriptor = -1;
}

static void dispatch(struct ipc_request *request, void *context) {
    struct qmgr *qmgr = context;
    bool from_cleanup = str_equal(ipc_peer_service(request->peer), STR("cleanup"));
    if (request->type == IPC_QMGR_NEW && from_cleanup) {
        note_stored(request, qmgr);
    } else if (request->type == IPC_QMGR_FORGET && from_cleanup) {
        control_forget(request, qmgr);
    } else if (qmgr->draining) {
        ipc_answer_failed(request, 451, "4.3.2", "the queue manager is being replaced, ask again");
    } else if (request->type == IPC_QMGR_DIRECT && from_cleanup) {
        control_direct(request, qmgr);
    } else if (request->type == IPC_LOGIN_USE && from_cleanup) {
        control_login_use(request, qmgr);
    } else if (request->type == IPC_LOGIN_LIST && may_change(request)) {
        control_login_list(request, qmgr);
    } else if (request->type == IPC_LOGIN_CHANGE && may_change(request)) {
        control_login_change(request, qmgr);
    } else if (request->type == IPC_QMGR_LIST && !may(request, &qmgr->may_list)) {
        ipc_answer_failed(request, 550, "5.7.0", "not allowed to view the mail queue (authorized_mailq_users)");
    } else if (request->type == IPC_QMGR_FLUSH && !may(request, &qmgr->may_flush)) {
        ipc_answer_failed(request, 550, "5.7.0", "not allowed to flush the mail queue (authorized_flush_users)");
    } else if (request->type == IPC_QMGR_LIST) {
        control_list(request, qmgr);
    } else if (request->type == IPC_QMGR_FLUSH) {
        control_flush(request, qmgr);
    } else if (request->type == IPC_QMGR_CHANGE && may_change(request)) {
        control_change(request, qmgr);
    } else {
        ipc_answer_failed(request, 550, "5.7.0", "not permitted");
    }
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, 1000, dispatch, service_context(service));
}

static bool read_permissions(struct service *service, struct qmgr *qmgr, struct failure *failure) {
    const struct config *config = service_config(service);
    return permission_read(STR("authorized_mailq_users"), config->authorized_mailq_users, &qmgr->may_list, failure) &&
           permission_read(STR("authorized_flush_users"), config->authorized_flush_users, &qmgr->may_flush, failure);
}

/* Needs /proc and the list of accounts, so before the sandbox closes. */
static bool prepare(struct service *service, struct failure *failure) {
    struct qmgr *qmgr = MEMORY_NEW(struct qmgr);
    service_set_context(service, qmgr);
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0) return failure_set_errno(failure, errno, "cannot read the boot's identity");
    ssize_t length = read(file, qmgr->boot_identity, sizeof qmgr->boot_identity - 1);
    int reason = errno;
    close(file);
    if (length < 0) return failure_set_errno(failure, reason, "cannot read the boot's identity");
    if (length < 36) return failure_set(failure, "the boot's identity is too short");
    qmgr->boot_identity[36] = '\0';
    return read_permissions(service, qmgr, failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct qmgr *qmgr = service_context(service);
    qmgr->service = service;
    qmgr->config = service_config(service);
    qmgr->queue = service_directory(service);
    qmgr->index_lock = -1;
    qmgr->active = map_create();
    qmgr->leaving = map_create();
    qmgr->incoming_ids = map_create();
    qmgr->transports = map_create();
    qmgr->resolve = resolve_create(service, 0);
    qmgr->bounce = service_client(service, "bounce", NULL, NULL);
    qmgr->intake = intake_source_create(service_client(service, "cleanup", NULL, NULL), qmgr->config);
    if (!queue_folder_open(qmgr->queue, "new", &qmgr->new, failure) ||
        !queue_folder_open(qmgr->queue, "cur", &qmgr->cur, failure) ||
        !queue_folder_open(qmgr->queue, "hold", &qmgr->hold, failure) ||
        !queue_folder_open(qmgr->queue, "corrupt", &qmgr->corrupt, failure))
        return false;
    const int folders[] = {qmgr->new, qmgr->cur, qmgr->hold, qmgr->corrupt};
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
        qmgr->syncs[i].directory = folders[i];
    if (!deferred_open(qmgr, failure)) return false;
    logins_open(qmgr); /* what a predecessor wrote before it let go of the index */
    return (task_start("incoming", incoming_task, qmgr) || failure_set(failure, "out of resources")) &&
           (task_start("deferred", deferred_task, qmgr) || failure_set(failure, "out of resources"));
}

/* The queue run of master.cf's wake-up column: what a lost message from cleanup left in new/. */
static void wake(struct service *service) {
    struct qmgr *qmgr = service_context(service);
    incoming_again(qmgr, 0);
}

static void tick(struct service *service) {
    struct qmgr *qmgr = service_context(service);
    if (clock_date() / CLOCK_SECOND % 60 == 0) destinations_sweep(qmgr);
    queue_remove_again(qmgr);
    logins_tick(qmgr);
}

/* The successor takes the queue over at once: it gets the index, and every message but those
 * locked here because a delivery is in flight. */
static void drain(struct service *service) {
    struct qmgr *qmgr = service_context(service);
    qmgr->draining = true;
    task_queue_wake_all(&qmgr->incoming_wait);
    task_queue_wake_all(&qmgr->deferred_wait);
    incoming_let_go_all(qmgr);
    messages_cut_short(qmgr);
    logins_close(qmgr);
    deferred_close(qmgr);
    while (map_count(qmgr->active) > 0 || map_count(qmgr->leaving) > 0) {
        queue_remove_again(qmgr);
        task_sleep(20);
    }
}

static void stop(struct service *service) {
    struct qmgr *qmgr = service_context(service);
    qmgr->stopping = true;
}

static const struct service_declaration declaration = {
    .program = "qmgr",
    .prepare = prepare,
    .start = start,
    .session = session,
    .wake = wake,
    .tick = tick,
    .drain = drain,
    .stop = stop,
    .session_limit = 1000,
    .blocking_threads = 8,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
