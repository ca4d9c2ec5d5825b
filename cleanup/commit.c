/* CLEANUP_COMMIT: where a message is made durable.
 *
 *   1. the envelope is known    expanded by lookup; a table that fails is 451
 *   2. no writer is left        a read lease on the file is granted only then
 *   3. header and envelope      written; the header last, so a file without one is no message
 *   4. rename tmp/ID to new/ID  before the sync, so that one journal commit covers data and name
 *   5. fsync the file           data, size; on journals also the name
 *   6. fsync new/               the name, by the letter of POSIX; shared with all who wait now
 *   7. answer                   only here 250 may be said
 *   8. tell qmgr                lost if qmgr is away: it finds the file in new/ when it starts
 *
 * A crash before 7 leaves a file that was not promised: whole (it is delivered, and
 * the client sends again: a duplicate) or not (qmgr sets it aside). When 5 or 6 fail
 * the file is suspect: it is removed and the client told to try again; a sync is
 * never repeated on the same file. */
#include "cleanup.h"
#include "hash.h"
#include "log.h"
#include "queue_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct commit {
    struct cleanup *cleanup;
    struct pending *pending;
    const struct ipc_cleanup_commit *message;
    struct buf envelope; /* packed */
    bool on_hold;
    struct failure failure;
    bool good;
};

/* ---- 2. */

/* Grants only if nobody, in any process, has the file open or mapped for writing. The
 * lease itself is of no further use: nobody else can open the file by name. */
static bool no_writer_is_left(struct commit *commit) {
    int file = commit->pending->file;
    if (fcntl(file, F_SETLEASE, F_RDLCK) < 0) {
        if (errno == EAGAIN) return failure_set(&commit->failure, "the file is still open for writing");
        return failure_set_errno(&commit->failure, errno, "cannot take a read lease");
    }
    fcntl(file, F_SETLEASE, F_UNLCK);
    return true;
}

/* Where the file system knows no leases, the content is copied to a file that nobody else ever had. */
static bool copy_to_own_file(struct commit *commit, const char *name) {
    char own[QUEUE_ID_SIZE + 8];
    snprintf(own, sizeof own, "%s.own", name);
    int tmp = commit->cleanup->tmp;
    int copy = openat(tmp, own, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (copy < 0) return failure_set_errno(&commit->failure, errno, "cannot copy the queue file");
    char bytes[65536];
    off_t offset = 0;
    for (ssize_t got; (got = pread(commit->pending->file, bytes, sizeof bytes, offset)) != 0; offset += got) {
        errno = got > 0 ? ENOSPC : errno; /* what a short write means */
        if (got > 0 && pwrite(copy, bytes, (size_t)got, offset) == got) continue;
        failure_set_errno(&commit->failure, errno, "cannot copy the queue file");
        close(copy);
        unlinkat(tmp, own, 0);
        return false;
    }
    if (renameat(tmp, own, tmp, name) < 0) {
        failure_set_errno(&commit->failure, errno, "cannot copy the queue file");
        close(copy);
        return false;
    }
    close(commit->pending->file);
    commit->pending->file = copy;
    return true;
}

/* ---- 3. */

static bool write_at(int file, struct str bytes, uint64_t offset, struct failure *failure) {
    while (bytes.length > 0) {
        ssize_t written = pwrite(file, bytes.data, bytes.length, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failure_set_errno(failure, errno, "cannot write the envelope");
        bytes = str_from_offset(bytes, (size_t)written);
        offset += (uint64_t)written;
    }
    return true;
}

static bool write_envelope_and_header(struct commit *commit, int file) {
    struct queue_header header = {
        .content_length = commit->message->content_length,
        .content_lines = commit->message->content_lines,
        .envelope_length = commit->envelope.length,
        .envelope_crc = crc32c(0, commit->envelope.data, commit->envelope.length),
    };
    char bytes[QUEUE_HEADER_SIZE];
    struct stat status;
    if (fstat(file, &status) < 0) return failure_set_errno(&commit->failure, errno, "cannot look at the queue file");
    uint64_t size = header.content_length ? QUEUE_HEADER_SIZE + header.content_length : 0;
    if ((uint64_t)status.st_size != size)
        return failure_set(&commit->failure, "the content has another length than was said");
    if (!queue_file_sum_content(file, header.content_length, &header.content_crc, &commit->failure)) return false;
    if (!queue_header_format(&header, bytes)) return failure_set(&commit->failure, "the header does not fit");
    return write_at(file, buf_str(&commit->envelope), QUEUE_HEADER_SIZE + header.content_length, &commit->failure) &&
           write_at(file, str_make(bytes, sizeof bytes), 0, &commit->failure);
}

/* ---- 4. */

/* Never over another message, whatever went wrong with the IDs. */
static bool rename_into(int tmp, int folder, const char *name) {
    if (renameat2(tmp, name, folder, name, RENAME_NOREPLACE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) return false; /* a file system that cannot: look, then rename */
    if (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return false;
    }
    return renameat(tmp, name, folder, name) == 0;
}

/* ---- steps 2 to 5, on a helper thread */

static void make_file_durable(void *argument) {
    struct commit *commit = argument;
    struct cleanup *cleanup = commit->cleanup;
    const char *name = commit->pending->queue_id;
    if (!no_writer_is_left(commit)) {
        int reason = commit->failure.error_number;
        if (reason != EINVAL && reason != EOPNOTSUPP && reason != ENOLCK && reason != EACCES) return;
        if (!copy_to_own_file(commit, name)) return;
    }
    int file = openat(cleanup->tmp, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        failure_set_errno(&commit->failure, errno, "cannot open the queue file");
        return;
    }
    int folder = commit->on_hold ? cleanup->hold : cleanup->new;
    if (!write_envelope_and_header(commit, file)) {
        unlinkat(cleanup->tmp, name, 0);
    } else if (!rename_into(cleanup->tmp, folder, name)) {
        failure_set_errno(&commit->failure, errno, "cannot rename the queue file");
        unlinkat(cleanup->tmp, name, 0);
    } else if (fsync(file) < 0) {
        failure_set_errno(&commit->failure, errno, "cannot sync the queue file");
        unlinkat(folder, name, 0);
    } else {
        commit->good = true;
    }
    if (close(file) < 0 && commit->good) {
        commit->good = failure_set_errno(&commit->failure, errno, "cannot close the queue file");
        unlinkat(folder, name, 0);
    }
}

/* ---- the envelope as the file has it */

static bool pack_envelope(struct commit *commit) {
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

static void answer_failure(struct ipc_request *request, const struct commit *commit) {
    int reason = commit->failure.error_number;
    bool full = reason == ENOSPC || reason == EDQUOT;
    log_message_warning(str_from(commit->pending->queue_id), "%s; not accepted, the client is told to try again",
                        commit->failure.text);
    ipc_answer_failed(request, full ? 452 : 451, full ? "4.3.1" : "4.3.0", "%s",
                      full ? "Insufficient system storage" : "Local queue trouble, try again later");
}

/* ---- 1. and the order of all */

static bool commit_message(struct commit *commit) {
    struct cleanup *cleanup = commit->cleanup;
    if (commit->pending->recipient_count == 0) return failure_set(&commit->failure, "no recipients");
    if (commit->message->expansion == 0 && !cleanup_expand(cleanup, commit->pending, &commit->failure)) return false;
    if (!pack_envelope(commit)) return false;
    task_run_blocking(make_file_durable, commit);
    if (!commit->good) return false;
    int error_number = 0;
    if (directory_sync_wait(commit->on_hold ? &cleanup->hold_sync : &cleanup->new_sync, &error_number)) return true;
    unlinkat(commit->on_hold ? cleanup->hold : cleanup->new, commit->pending->queue_id, 0);
    return failure_set_errno(&commit->failure, error_number, "cannot sync the queue folder");
}

static void log_committed(const struct commit *commit) {
    struct str queue_id = str_from(commit->pending->queue_id);
    log_message(queue_id, "message-id=%.*s", STR_ARGS(commit->message->message_id));
    if (commit->on_hold) log_message(queue_id, "hold: %.*s", STR_ARGS(commit->message->hold_reason));
}

/* A qmgr that is being replaced may close the connection: the next one is asked. */
static void tell_qmgr(struct cleanup *cleanup, struct str queue_id) {
    struct ipc_qmgr_new notice = {.queue_id = queue_id};
    deadline until = deadline_in(10000);
    for (unsigned attempt = 0; attempt < 5; attempt++)
        if (ipc_tell(cleanup->qmgr, IPC_QMGR_NEW, &notice, until, NULL) == IPC_OK) return;
    log_message_warning(queue_id, "qmgr does not answer: it will find the message when it starts");
}

void cleanup_commit(struct ipc_request *request, struct writer *writer) {
    const struct ipc_cleanup_commit *message = request->message;
    struct pending *pending = writer_take(request, writer, message->queue_id);
    if (!pending || !pending_add_recipients(pending, message->recipients)) {
        if (pending) pending_discard(writer->cleanup, &pending);
        ipc_answer_failed(request, 451, "4.3.0", "no such file is being written, or too many recipients");
        return;
    }
    struct commit commit = {
        .cleanup = writer->cleanup, .pending = pending, .message = message, .on_hold = message->hold_reason.length > 0};
    if (commit_message(&commit)) {
        log_committed(&commit);
        struct ipc_cleanup_committed answer = {.queue_id = str_from(pending->queue_id)};
        ipc_answer(request, IPC_CLEANUP_COMMITTED, &answer, -1);
        if (!commit.on_hold) tell_qmgr(writer->cleanup, str_from(pending->queue_id));
        buf_free(&commit.envelope);
        pending_free(&pending);
        return;
    }
    answer_failure(request, &commit);
    buf_free(&commit.envelope);
    pending_discard(writer->cleanup, &pending);
}
