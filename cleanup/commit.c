/* CLEANUP_COMMIT: where a message is made safe.
 *
 *   1. the envelope is known   expanded by lookup; a table that fails is 451
 *   2. direct delivery         direct.c: qmgr may deliver it at once; what every recipient has is safe
 *   3. else it is stored       store.c: file and name are on disk
 *   4. answer                  only here 250 may be said
 *   5. tell qmgr               lost if qmgr is away: it finds the file in new/ when it starts
 *
 * A crash before 4 leaves a message that was not promised: delivered in whole to some (the client sends
 * again: a duplicate), or a file that is whole (the same) or not (qmgr sets it aside). */
#include "cleanup.h"
#include "hash.h"
#include "log.h"
#include "queue_file.h"
#include <errno.h>
#include <unistd.h>

/* ---- the envelope as the file has it */

static bool pack_envelope(struct committing *commit) {
    const struct ipc_cleanup_commit *message = commit->message;
    struct pending *pending = commit->pending;
    struct queue_recipient *recipients = arena_allocate(pending->arena, pending->recipient_count, sizeof *recipients);
    if (!recipients) return failure_set(&commit->failure, "too many recipients");
    for (size_t i = 0; i < pending->recipient_count; i++) {
        const struct ipc_recipient *from = &pending->recipients[i];
        recipients[i] = (struct queue_recipient){.address = from->address,
                                                 .original = from->original,
                                                 .orcpt = from->orcpt,
                                                 .notify = (unsigned)from->notify};
    }
    struct queue_envelope envelope = {
        .queue_id = str_from(pending->queue_id),
        .arrival = pending->arrival,
        .sender = message->sender,
        .envelope_id = message->envelope_id,
        .return_content = (unsigned)message->return_content,
        .body = (unsigned)message->body,
        .report = (unsigned)message->report,
        .wish = {.release = (int64_t)message->release,
                 .deliver_by = (int64_t)message->deliver_by,
                 .by_mode = (enum deliver_by_mode)message->by_mode,
                 .by_trace = message->by_trace,
                 .priority = priority_from_number(message->priority),
                 .tls = (unsigned)message->tls},
        .smtputf8 = message->smtputf8,
        .client_name = message->client_name,
        .client_address = message->client_address,
        .helo = message->helo,
        .protocol = message->protocol,
        .login = message->login,
        .message_id = message->message_id,
        .on_hold = commit->on_hold,
        .recipients = recipients,
        .recipient_count = pending->recipient_count,
    };
    commit->envelope = buf_make(QUEUE_ENVELOPE_LIMIT);
    return queue_envelope_pack(&envelope, &commit->envelope) ||
           failure_set(&commit->failure, "the envelope is too large");
}

static void answer_failure(struct ipc_request *request, const struct committing *commit) {
    int reason = commit->failure.error_number;
    bool full = reason == ENOSPC || reason == EDQUOT;
    log_message_warning(str_from(commit->pending->queue_id), "%s; not accepted, the client is told to try again",
                        commit->failure.text);
    ipc_answer_failed(request, full ? 452 : 451, full ? "4.3.1" : "4.3.0", "%s",
                      full ? "Insufficient system storage" : "Local queue trouble, try again later");
}

/* Our own programs check what they take in; one that was taken over must not bring addresses into the queue that
 * nobody can deliver to or write a notice about. */
static bool is_clean(struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) return false;
    return true;
}

static bool addresses_are_clean(const struct committing *commit) {
    const struct pending *pending = commit->pending;
    bool clean = is_clean(commit->message->sender) && is_clean(commit->message->envelope_id);
    for (size_t i = 0; clean && i < pending->recipient_count; i++)
        clean = is_clean(pending->recipients[i].address) && is_clean(pending->recipients[i].original) &&
                is_clean(pending->recipients[i].orcpt);
    return clean;
}

static bool know_envelope(struct committing *commit) {
    struct cleanup *cleanup = commit->cleanup;
    if (commit->pending->recipient_count == 0) return failure_set(&commit->failure, "no recipients");
    if (!addresses_are_clean(commit)) return failure_set(&commit->failure, "control characters in the envelope");
    if (commit->message->expansion == 0 && !cleanup_expand(cleanup, commit->pending, &commit->failure)) return false;
    return pack_envelope(commit);
}

static void answer_safe(struct ipc_request *request, const struct committing *commit) {
    struct str queue_id = str_from(commit->pending->queue_id);
    struct ipc_cleanup_committed answer = {.queue_id = queue_id, .refused = commit->refused};
    if (commit->on_hold) log_message(queue_id, "hold: %.*s", STR_ARGS(commit->message->hold_reason));
    ipc_answer(request, IPC_CLEANUP_COMMITTED, &answer, -1);
}

/* Steps 1 to 5. */
static bool make_safe(struct ipc_request *request, struct committing *commit) {
    if (!know_envelope(commit)) return false;
    log_message(str_from(commit->pending->queue_id), "message-id=%.*s", STR_ARGS(commit->message->message_id));
    enum direct_result direct = commit_direct(commit);
    if (direct == DIRECT_DONE) {
        answer_safe(request, commit);
        return true;
    }
    if (!commit_store(commit)) {
        if (direct == DIRECT_STORE || direct == DIRECT_UNKNOWN) direct_tell_forget(commit, direct);
        return false;
    }
    answer_safe(request, commit);
    if (!commit->on_hold) direct_tell_stored(commit, direct);
    close(commit->stored);
    return true;
}

void cleanup_commit(struct ipc_request *request, struct writer *writer) {
    const struct ipc_cleanup_commit *message = request->message;
    struct cleanup *cleanup = writer->cleanup;
    struct pending *pending;
    if (request->descriptor >= 0) {
        pending = pending_from_memory(request, writer);
        if (!pending) return;
    } else {
        pending = writer_take(request, writer, message->queue_id);
    }
    if (!pending || !pending_add_recipients(pending, message->recipients)) {
        if (pending) pending_discard(cleanup, &pending);
        ipc_answer_failed(request, 451, "4.3.0", "no such file is being written, or too many recipients");
        return;
    }
    struct committing commit = {.cleanup = cleanup,
                                .pending = pending,
                                .message = message,
                                .stored = -1,
                                .refused = {STR_EMPTY, 0},
                                .on_hold = message->hold_reason.length > 0};
    if (make_safe(request, &commit)) {
        pending_free(cleanup, &pending);
    } else {
        answer_failure(request, &commit);
        pending_discard(cleanup, &pending);
    }
    buf_free(&commit.envelope);
}
