/* Taking a message in through cleanup: see intake.h. */
#include "intake.h"
#include "clock.h"
#include <errno.h>
#include <unistd.h>

#define WRITE_SIZE        ((size_t)32768)
#define RECIPIENTS_PACKET ((size_t)50000)

struct intake {
    struct ipc_client *cleanup;
    char queue_id[24];
    int file;
    struct buf pending; /* content not yet written */
    uint64_t length, lines;
    int write_error; /* errno of the first failed write */
};

static bool refuse(struct intake_failure *failure, unsigned code, const char *status, const char *text) {
    failure->reply_code = code;
    snprintf(failure->status, sizeof failure->status, "%s", status);
    snprintf(failure->text, sizeof failure->text, "%s", text);
    return false;
}

/* Turns what went wrong in asking cleanup into a reply for the client: always temporary unless cleanup said otherwise.
 */
static bool refuse_result(struct intake_failure *failure, enum ipc_result result, const struct ipc_reply *reply) {
    if (result == IPC_REFUSED) {
        const struct ipc_failed *failed = reply->message;
        failure->reply_code =
            failed->reply_code == 421 ? 451 : (unsigned)failed->reply_code; /* 421 would end the client's session */
        snprintf(failure->status, sizeof failure->status, "%.*s", STR_ARGS(failed->status));
        snprintf(failure->text, sizeof failure->text, "%.*s", STR_ARGS(failed->text));
        return false;
    }
    return refuse(failure, 451, "4.3.0", "Queue service unavailable, try again later");
}

bool intake_open(struct ipc_client *cleanup, uint64_t size_hint, deadline until, struct intake **intake,
                 struct intake_failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_cleanup_open request = {.size_hint = size_hint};
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result = IPC_UNREACHABLE;
    bool leaving =
        true; /* a cleanup that is being replaced says 421, and takes no more: the next send finds its successor */
    for (unsigned attempt = 0; leaving && attempt < 3; attempt++) {
        result = ipc_ask(cleanup, IPC_CLEANUP_OPEN, &request, -1, IPC_CLEANUP_OPENED, until, arena, &reply, NULL);
        leaving = result == IPC_REFUSED && ((const struct ipc_failed *)reply.message)->reply_code == 421;
    }
    bool good = result == IPC_OK;
    if (good) {
        const struct ipc_cleanup_opened *opened = reply.message;
        struct intake *made = MEMORY_NEW(struct intake);
        made->cleanup = cleanup;
        made->file = reply.descriptor;
        snprintf(made->queue_id, sizeof made->queue_id, "%.*s", STR_ARGS(opened->queue_id));
        *intake = made;
    } else {
        refuse_result(failure, result, &reply);
    }
    arena_destroy(&arena);
    return good;
}

struct str intake_queue_id(const struct intake *intake) {
    return str_from(intake->queue_id);
}

uint64_t intake_length(const struct intake *intake) {
    return intake->length;
}

static void write_out(struct intake *intake) {
    struct str left = buf_str(&intake->pending);
    while (left.length > 0 && intake->write_error == 0) {
        ssize_t written = write(intake->file, left.data, left.length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0)
            intake->write_error = errno;
        else
            left = str_from_offset(left, (size_t)written);
    }
    buf_clear(&intake->pending);
}

bool intake_write(struct intake *intake, struct str bytes) {
    intake->length += bytes.length;
    for (const char *at = bytes.data, *end = bytes.data + bytes.length;
         at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        intake->lines++;
    buf_append(&intake->pending, bytes);
    if (intake->pending.length >= WRITE_SIZE) write_out(intake);
    return intake->write_error == 0;
}

static void intake_free(struct intake **intake) {
    if ((*intake)->file >= 0) close((*intake)->file);
    buf_free(&(*intake)->pending);
    MEMORY_FREE(*intake);
}

void intake_cancel(struct intake **intake) {
    if (!*intake) return;
    struct ipc_cleanup_cancel request = {.queue_id = intake_queue_id(*intake)};
    enum ipc_result ignored = ipc_tell((*intake)->cleanup, IPC_CLEANUP_CANCEL, &request, deadline_in(5000), NULL);
    (void)ignored; /* cleanup forgets the file by itself when this connection ends */
    intake_free(intake);
}

/* Packs recipients; all but the last packetful go ahead of the commit. */
static bool send_recipients(struct intake *intake, const struct intake_envelope *envelope, deadline until,
                            struct buf *rows, uint32_t *count) {
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        if (!ipc_list_add(IPC_ROW_RECIPIENT, &envelope->recipients[i], rows, count)) return false;
        if (rows->length < RECIPIENTS_PACKET) continue;
        struct ipc_cleanup_recipients ahead = {.queue_id = intake_queue_id(intake),
                                               .recipients = {buf_str(rows), *count}};
        if (ipc_tell(intake->cleanup, IPC_CLEANUP_RECIPIENTS, &ahead, until, NULL) != IPC_OK) return false;
        buf_clear(rows);
        *count = 0;
    }
    return true;
}

/* *kept: cleanup may still have the file, since it was not asked, or refused before it looked. */
static bool commit(struct intake *intake, const struct intake_envelope *envelope, deadline until, bool *kept,
                   struct intake_failure *failure) {
    *kept = true;
    write_out(intake);
    if (close(intake->file) < 0 && intake->write_error == 0) intake->write_error = errno;
    intake->file = -1;
    if (intake->write_error == ENOSPC || intake->write_error == EDQUOT)
        return refuse(failure, 452, "4.3.1", "Insufficient system storage");
    if (intake->write_error) return refuse(failure, 451, "4.3.0", "Queue file write error");

    struct arena *arena = arena_create(0);
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result = IPC_UNREACHABLE;
    bool asked = send_recipients(intake, envelope, until, &rows, &count);
    if (asked) {
        struct ipc_cleanup_commit request = {
            .queue_id = intake_queue_id(intake),
            .content_length = intake->length,
            .content_lines = intake->lines,
            .body = (uint64_t)envelope->body,
            .smtputf8 = envelope->smtputf8,
            .sender = envelope->sender,
            .envelope_id = envelope->envelope_id,
            .return_content = (uint64_t)envelope->return_content,
            .expansion = envelope->leave_recipients,
            .client_name = envelope->client_name,
            .client_address = envelope->client_address,
            .helo = envelope->helo,
            .protocol = envelope->protocol,
            .login = envelope->login,
            .hold_reason = envelope->hold_reason,
            .message_id = envelope->message_id,
            .recipients = {buf_str(&rows), count},
        };
        result = ipc_ask(intake->cleanup, IPC_CLEANUP_COMMIT, &request, -1, IPC_CLEANUP_COMMITTED, until, arena, &reply,
                         NULL);
    }
    *kept = !asked || result == IPC_REFUSED;
    if (result != IPC_OK) refuse_result(failure, result, &reply);
    buf_free(&rows);
    arena_destroy(&arena);
    return result == IPC_OK;
}

bool intake_commit(struct intake **intake, const struct intake_envelope *envelope, deadline until,
                   struct intake_failure *failure) {
    bool kept;
    bool good = commit(*intake, envelope, until, &kept, failure);
    /* The file would stay in tmp/ for as long as the connection to cleanup lasts, and on a full disk help to keep it
     * full; nor would cleanup, which waits for a commit, let itself be replaced. */
    if (kept)
        intake_cancel(intake);
    else
        intake_free(intake);
    return good;
}
