/* Delivery ahead of the queue: what can be delivered at once needs no queue file. qmgr, which
 * schedules this message like any other, says within direct_delivery_milliseconds whether every recipient
 * has it, or whether it has to wait and must be stored; then it goes on with what it began. */
#include "cleanup.h"
#include "log.h"

#define CONNECT_PATIENCE 200             /* ms: without qmgr the queue is the place */
#define QMGR_PATIENCE    1000            /* ms beyond the time for direct delivery: qmgr is stalled then */
#define STALLED_PAUSE    5000            /* ms until a qmgr that was is asked again */
#define TELL_PATIENCE    10000           /* ms */
#define ENVELOPE_LIMIT   ((size_t)60000) /* ipc_messages.def, QMGR_DIRECT */

static bool is_wanted(const struct committing *commit) {
    return commit->pending->in_memory && !commit->on_hold && commit->message->release == 0 &&
           commit->envelope.length <= ENVELOPE_LIMIT && commit->cleanup->config->direct_delivery_milliseconds > 0 &&
           deadline_left(commit->cleanup->qmgr_stalled) == 0 &&
           ipc_client_connect(commit->cleanup->qmgr, deadline_in(CONNECT_PATIENCE), NULL);
}

/* Nobody was put in another's place: the recipients are those that the client knows. */
static bool is_unchanged(const struct committing *commit) {
    const struct pending *pending = commit->pending;
    if (pending->recipient_count != commit->message->recipients.count) return false;
    for (size_t i = 0; i < pending->recipient_count; i++)
        if (pending->recipients[i].original.length > 0) return false;
    return true;
}

enum direct_result commit_direct(struct committing *commit) {
    struct cleanup *cleanup = commit->cleanup;
    struct pending *pending = commit->pending;
    if (!is_wanted(commit)) return DIRECT_NOT;
    struct ipc_qmgr_direct request = {.queue_id = str_from(pending->queue_id),
                                      .content_length = commit->message->content_length,
                                      .content_lines = commit->message->content_lines,
                                      .envelope = buf_str(&commit->envelope),
                                      .each_recipient = commit->message->each_recipient && is_unchanged(commit)};
    struct ipc_reply reply = {.descriptor = -1};
    deadline until = deadline_in(cleanup->config->direct_delivery_milliseconds + QMGR_PATIENCE);
    switch (ipc_ask(cleanup->qmgr, IPC_QMGR_DIRECT, &request, pending->file, IPC_QMGR_DIRECT_ENDED, until,
                    pending->arena, &reply, NULL)) {
    case IPC_OK:
        commit->refused = ((const struct ipc_qmgr_direct_ended *)reply.message)->refused;
        return ((const struct ipc_qmgr_direct_ended *)reply.message)->store ? DIRECT_STORE : DIRECT_DONE;
    case IPC_REFUSED:
        return DIRECT_NOT;
    case IPC_TIMEOUT:
        cleanup->qmgr_stalled = deadline_in(STALLED_PAUSE);
        break;
    case IPC_UNREACHABLE:
    case IPC_CANCELLED:
        break;
    }
    return DIRECT_UNKNOWN;
}

/* A qmgr that is being replaced may close the connection: the next one is asked. */
void direct_tell_stored(struct committing *commit, enum direct_result begun) {
    struct ipc_qmgr_new notice = {.queue_id = str_from(commit->pending->queue_id),
                                  .perhaps_delivered = begun == DIRECT_UNKNOWN};
    deadline until = deadline_in(TELL_PATIENCE);
    for (unsigned attempt = 0; attempt < 5; attempt++)
        if (ipc_tell_with(commit->cleanup->qmgr, IPC_QMGR_NEW, &notice, commit->stored, until, NULL) == IPC_OK) return;
    log_message_warning(notice.queue_id, "qmgr does not answer: it will find the message when it starts");
}

/* If this is lost the connection is, too, and qmgr forgets what it was to wait for on it. One that stalled may still
 * have it. */
void direct_tell_forget(struct committing *commit, enum direct_result begun) {
    struct ipc_qmgr_forget notice = {.queue_id = str_from(commit->pending->queue_id)};
    deadline until = deadline_in(begun == DIRECT_UNKNOWN ? CONNECT_PATIENCE : TELL_PATIENCE);
    enum ipc_result ignored = ipc_tell(commit->cleanup->qmgr, IPC_QMGR_FORGET, &notice, until, NULL);
    (void)ignored;
}
