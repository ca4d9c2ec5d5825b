/* A copy of the message to other addresses: a new message, taken in by cleanup. The
 * content goes from one file to the other inside the kernel; this process, which may
 * be root, never has it in memory. */
#include <errno.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#include "local.h"
#include "address.h"
#include "envelope_wish.h"
#include "received.h"

#define PATIENCE ((int64_t)300 * 1000)

struct copy {
    const struct ipc_deliver *request;
    int from, to;
    struct str prefix;
    int error_number;
    bool good;
};

/* A new message has its own trace, with which a loop is found that Delivered-To does not show. */
static void make_prefix(const struct local *local, const struct resend *resend, struct str queue_id,
                        struct buf *prefix) {
    struct tm fields;
    int64_t now = clock_date() / CLOCK_SECOND;
    time_t seconds = (time_t)now;
    struct received received = {.by = local->config->myhostname,
                                .mail_name = local->config->mail_name,
                                .queue_id = queue_id,
                                .date = now,
                                .offset_minutes = localtime_r(&seconds, &fields) ? (int)(fields.tm_gmtoff / 60) : 0,
                                .user_id = -1};
    received_append(prefix, &received);
    if (!resend->prepend_delivered_to) return;
    buf_append(prefix, STR("Delivered-To: "));
    mail_address_append_text(prefix, resend->delivered_to);
    buf_append_char(prefix, '\n');
}

static uint64_t count_lines(struct str text) {
    uint64_t lines = 0;
    for (size_t i = 0; i < text.length; i++)
        lines += text.data[i] == '\n';
    return lines;
}

static bool write_prefix(struct copy *copy) {
    struct str left = copy->prefix;
    while (left.length > 0) {
        ssize_t written = write(copy->to, left.data, left.length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        left = str_from_offset(left, (size_t)written);
    }
    return true;
}

static ssize_t copy_piece(const struct copy *copy, off_t *offset, size_t length, bool *by_sendfile) {
    if (!*by_sendfile) {
        ssize_t copied = copy_file_range(copy->from, offset, copy->to, NULL, length, 0);
        if (copied >= 0 ||
            (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM))
            return copied;
        *by_sendfile = true;
    }
    return sendfile(copy->to, copy->from, offset, length);
}

/* On a helper thread. */
static void copy_content(void *argument) {
    struct copy *copy = argument;
    off_t offset = (off_t)copy->request->content_offset;
    uint64_t left = copy->request->content_length;
    bool by_sendfile = false, good = write_prefix(copy);
    while (good && left > 0) {
        ssize_t copied =
            copy_piece(copy, &offset, left < ((size_t)1 << 24) ? (size_t)left : (size_t)1 << 24, &by_sendfile);
        if (copied < 0 && errno == EINTR) continue;
        if (copied <= 0) {
            if (copied == 0) errno = EIO; /* the file ends too early */
            good = false;
        } else {
            left -= (uint64_t)copied;
        }
    }
    copy->error_number = good ? 0 : errno;
    if (close(copy->to) < 0 && good) copy->error_number = errno;
    copy->good = copy->error_number == 0;
}

static bool commit(struct local *local, const struct resend *resend, struct str queue_id, uint64_t prefix_length,
                   uint64_t prefix_lines, struct arena *arena, struct failure *failure) {
    const struct ipc_deliver *request = resend->request;
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    bool good = true;
    deadline until = deadline_in(PATIENCE);
    for (size_t i = 0; i < resend->recipient_count && good; i++) {
        good = ipc_list_add(IPC_ROW_RECIPIENT, &resend->recipients[i], &rows, &count);
        if (rows.length < 50000) continue;
        struct ipc_cleanup_recipients ahead = {.queue_id = queue_id, .recipients = {buf_str(&rows), count}};
        good = good && ipc_tell(local->cleanup, IPC_CLEANUP_RECIPIENTS, &ahead, until, failure) == IPC_OK;
        buf_clear(&rows);
        count = 0;
    }
    struct ipc_cleanup_commit message = {
        .queue_id = queue_id,
        .content_length = prefix_length + request->content_length,
        .content_lines = prefix_lines + request->content_lines,
        .body = request->body,
        .smtputf8 = request->smtputf8,
        .tls = request->tls,
        .sender = resend->sender,
        .envelope_id = resend->drop_dsn ? STR_EMPTY : request->envelope_id,
        .return_content = resend->drop_dsn ? RETURN_NOT_GIVEN : request->return_content,
        .client_name = request->client_name,
        .client_address = request->client_address,
        .helo = request->helo,
        .protocol = request->protocol,
        .login = request->login,
        .expansion = resend->as_is,
        .message_id = request->message_id,
        .deliver_by = resend->drop_dsn ? 0 : request->deliver_by,
        .by_mode = resend->drop_dsn ? DELIVER_BY_NOT : request->by_mode,
        .by_trace = !resend->drop_dsn && request->by_trace,
        .priority = request->priority,
        .recipients = {buf_str(&rows), count},
    };
    struct ipc_reply reply = {.descriptor = -1};
    if (good)
        good = ipc_ask(local->cleanup, IPC_CLEANUP_COMMIT, &message, -1, IPC_CLEANUP_COMMITTED, until, arena, &reply,
                       failure) == IPC_OK;
    else
        failure_set(failure, "the recipients cannot be handed over");
    buf_free(&rows);
    return good;
}

bool resend_message(struct local *local, const struct resend *resend, struct arena *arena, struct str *queue_id,
                    struct failure *failure) {
    struct ipc_cleanup_open request = {.size_hint = resend->request->content_length};
    struct ipc_reply reply = {.descriptor = -1};
    if (ipc_ask(local->cleanup, IPC_CLEANUP_OPEN, &request, -1, IPC_CLEANUP_OPENED, deadline_in(PATIENCE), arena,
                &reply, failure) != IPC_OK)
        return failure_prefix(failure, "forwarding");
    const struct ipc_cleanup_opened *opened = reply.message;
    struct buf prefix = buf_make(0);
    make_prefix(local, resend, opened->queue_id, &prefix);
    struct copy copy = {
        .request = resend->request, .from = resend->file, .to = reply.descriptor, .prefix = buf_str(&prefix)};
    task_run_blocking(copy_content, &copy);
    uint64_t length = prefix.length, lines = count_lines(buf_str(&prefix));
    buf_free(&prefix);
    if (!copy.good) {
        struct ipc_cleanup_cancel cancel = {.queue_id = opened->queue_id};
        enum ipc_result ignored = ipc_tell(local->cleanup, IPC_CLEANUP_CANCEL, &cancel, deadline_in(5000), NULL);
        (void)ignored; /* cleanup forgets the file when the connection ends */
        return failure_set_errno(failure, copy.error_number, "forwarding: cannot copy the message");
    }
    if (!commit(local, resend, opened->queue_id, length, lines, arena, failure))
        return failure_prefix(failure, "forwarding");
    *queue_id = opened->queue_id;
    return true;
}
