/* Taking a message in through cleanup: see intake.h. */
#include "intake.h"
#include "clock.h"
#include "config.h"
#include "log.h"
#include "queue_id.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define WRITE_SIZE        ((size_t)32768)
#define RECIPIENTS_PACKET ((size_t)50000)
#define RECIPIENT_FRAME   ((size_t)64)
#define SPILL_PATIENCE    30000 /* ms for cleanup to open a queue file in the middle of the content */
#define RESERVE_AGE       60000 /* ms after which reserved IDs are let go, for an ID tells when its message came */
#define ALL_SEALS         (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

struct intake_source {
    struct ipc_client *cleanup;
    uint64_t memory_limit, memory_total, memory_used; /* bytes */
    /* queue IDs in reserve */
    uint64_t next_id;
    uint64_t ids_left;
    bool long_form;
    deadline ids_until;
};

struct intake {
    struct intake_source *source;
    char queue_id[QUEUE_ID_SIZE];
    int64_t begun; /* microseconds */
    uint64_t size_hint;
    int file;           /* -1: all of the content is pending */
    bool on_disk;       /* file is the queue file that cleanup opened, else a memory file */
    uint64_t in_memory; /* bytes in the memory file */
    struct buf pending; /* content not yet written */
    uint64_t length, lines;
    struct intake_failure fault; /* reply_code 0: none */
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
    failure->unreachable = true;
    return refuse(failure, 451, "4.3.0", "Queue service unavailable, try again later");
}

/* ---- queue IDs in reserve */

static enum ipc_result ask_for_ids(struct intake_source *source, deadline until, struct arena *arena,
                                   struct ipc_reply *reply) {
    enum ipc_result result = ipc_ask(source->cleanup, IPC_CLEANUP_IDS, &(struct ipc_cleanup_ids){}, -1,
                                     IPC_CLEANUP_IDS_GIVEN, until, arena, reply, NULL);
    if (result != IPC_OK) return result;
    const struct ipc_cleanup_ids_given *given = reply->message;
    source->next_id = given->first;
    source->ids_left = given->count;
    source->long_form = given->long_form;
    source->ids_until = deadline_in(RESERVE_AGE);
    return IPC_OK;
}

/* Sessions that find the reserve empty ask at the same time; the last answer is the reserve, and the
 * rest of the others is let go: numbers are plenty. */
static bool take_id(struct intake_source *source, deadline until, char id[QUEUE_ID_SIZE],
                    struct intake_failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result = IPC_OK;
    if (deadline_left(source->ids_until) == 0) source->ids_left = 0;
    while (source->ids_left == 0 && result == IPC_OK)
        result = ask_for_ids(source, until, arena, &reply);
    if (result == IPC_OK) {
        queue_id_format(source->next_id, source->long_form, id);
        source->next_id += queue_id_step(source->long_form);
        source->ids_left--;
    } else {
        refuse_result(failure, result, &reply);
    }
    arena_destroy(&arena);
    return result == IPC_OK;
}

/* Whoever serves the next connection does not know the reserve: it would have to look for each ID. */
static void connection_was_lost(void *context) {
    struct intake_source *source = context;
    source->ids_left = 0;
}

struct intake_source *intake_source_create(struct ipc_client *cleanup, const struct config *config) {
    struct intake_source *source = MEMORY_NEW(struct intake_source);
    source->cleanup = cleanup;
    source->memory_limit = (uint64_t)config->content_memory_limit;
    source->memory_total = (uint64_t)config->content_memory_total;
    ipc_client_on_loss(cleanup, connection_was_lost, source);
    return source;
}

void intake_source_destroy(struct intake_source **source) {
    if (!*source) return;
    ipc_client_on_loss((*source)->cleanup, NULL, NULL);
    MEMORY_FREE(*source);
}

bool intake_open(struct intake_source *source, uint64_t size_hint, deadline until, struct intake **intake,
                 struct intake_failure *failure) {
    char queue_id[QUEUE_ID_SIZE];
    if (!take_id(source, until, queue_id, failure)) return false;
    struct intake *made = MEMORY_NEW(struct intake);
    made->source = source;
    made->begun = clock_date();
    made->size_hint = size_hint;
    made->file = -1;
    memcpy(made->queue_id, queue_id, sizeof queue_id);
    *intake = made;
    return true;
}

struct str intake_queue_id(const struct intake *intake) {
    return str_from(intake->queue_id);
}

uint64_t intake_length(const struct intake *intake) {
    return intake->length;
}

/* ---- where the content goes */

static bool fault_errno(struct intake *intake, int error_number) {
    if (error_number == ENOSPC || error_number == EDQUOT)
        return refuse(&intake->fault, 452, "4.3.1", "Insufficient system storage");
    return refuse(&intake->fault, 451, "4.3.0", "Queue file write error");
}

/* A queue file of cleanup's. One that is being replaced says 421, and takes no more: the next send finds
 * its successor. */
static bool open_disk_file(struct intake *intake) {
    struct arena *arena = arena_create(0);
    uint64_t expected = intake->size_hint > intake->length ? intake->size_hint : intake->length;
    struct ipc_cleanup_open request = {.size_hint = expected, .queue_id = intake_queue_id(intake)};
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result = IPC_UNREACHABLE;
    bool leaving = true;
    for (unsigned attempt = 0; leaving && attempt < 3; attempt++) {
        result = ipc_ask(intake->source->cleanup, IPC_CLEANUP_OPEN, &request, -1, IPC_CLEANUP_OPENED,
                         deadline_in(SPILL_PATIENCE), arena, &reply, NULL);
        leaving = result == IPC_REFUSED && ((const struct ipc_failed *)reply.message)->reply_code == 421;
    }
    if (result == IPC_OK) {
        intake->file = reply.descriptor;
        intake->on_disk = true;
    } else {
        refuse_result(&intake->fault, result, &reply);
    }
    arena_destroy(&arena);
    return result == IPC_OK;
}

static void memory_let_go(struct intake *intake) {
    intake->source->memory_used -= intake->in_memory;
    intake->in_memory = 0;
}

/* The content has outgrown memory: what is there goes to disk, and the rest after it. */
static bool spill(struct intake *intake) {
    int memory = intake->file;
    off_t offset = 0;
    if (!open_disk_file(intake)) return false;
    bool good = true;
    while (good && (uint64_t)offset < intake->in_memory) {
        ssize_t sent = sendfile(intake->file, memory, &offset, (size_t)(intake->in_memory - (uint64_t)offset));
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) good = fault_errno(intake, sent < 0 ? errno : EIO);
    }
    close(memory);
    memory_let_go(intake);
    return good;
}

static bool fits_in_memory(const struct intake *intake) {
    const struct intake_source *source = intake->source;
    return intake->length <= source->memory_limit && intake->size_hint <= source->memory_limit &&
           source->memory_used + intake->pending.length <= source->memory_total;
}

/* A file to write what is pending to. */
static bool have_file(struct intake *intake) {
    if (intake->on_disk) return true;
    if (!fits_in_memory(intake)) return intake->file < 0 ? open_disk_file(intake) : spill(intake);
    if (intake->file >= 0) return true;
    intake->file = memfd_create("content", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (intake->file >= 0) return true;
    log_message_warning(intake_queue_id(intake), "cannot make a memory file: %s; the content goes to the queue's disk",
                        strerror(errno));
    return open_disk_file(intake);
}

static void write_out(struct intake *intake) {
    struct str left = buf_str(&intake->pending);
    bool good = intake->fault.reply_code == 0 && have_file(intake);
    while (good && left.length > 0) {
        ssize_t written = write(intake->file, left.data, left.length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            good = fault_errno(intake, errno);
        } else {
            left = str_from_offset(left, (size_t)written);
            if (intake->on_disk) continue;
            intake->in_memory += (uint64_t)written;
            intake->source->memory_used += (uint64_t)written;
        }
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
    return intake->fault.reply_code == 0;
}

static void intake_free(struct intake **intake) {
    memory_let_go(*intake);
    if ((*intake)->file >= 0) close((*intake)->file);
    buf_free(&(*intake)->pending);
    MEMORY_FREE(*intake);
}

void intake_cancel(struct intake **intake) {
    if (!*intake) return;
    if ((*intake)->on_disk) {
        struct ipc_cleanup_cancel request = {.queue_id = intake_queue_id(*intake)};
        enum ipc_result ignored =
            ipc_tell((*intake)->source->cleanup, IPC_CLEANUP_CANCEL, &request, deadline_in(5000), NULL);
        (void)ignored; /* cleanup forgets the file by itself when this connection ends */
    }
    intake_free(intake);
}

/* ---- the commit */

/* Packs recipients; all but the last packetful go ahead of the commit. */
static bool send_recipients(struct intake *intake, const struct intake_envelope *envelope, deadline until,
                            struct buf *rows, uint32_t *count) {
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        if (!ipc_list_add(IPC_ROW_RECIPIENT, &envelope->recipients[i], rows, count)) return false;
        if (rows->length < RECIPIENTS_PACKET) continue;
        struct ipc_cleanup_recipients ahead = {.queue_id = intake_queue_id(intake),
                                               .recipients = {buf_str(rows), *count}};
        if (ipc_tell(intake->source->cleanup, IPC_CLEANUP_RECIPIENTS, &ahead, until, NULL) != IPC_OK) return false;
        buf_clear(rows);
        *count = 0;
    }
    return true;
}

/* Recipients go ahead of the commit only to a queue file that cleanup has open. The estimate is on
 * the safe side: what a row takes besides its texts. */
static bool recipients_fit(const struct intake_envelope *envelope) {
    size_t bytes = 0;
    for (size_t i = 0; i < envelope->recipient_count && bytes < RECIPIENTS_PACKET; i++) {
        const struct ipc_recipient *recipient = &envelope->recipients[i];
        bytes += recipient->address.length + recipient->original.length + recipient->orcpt.length + RECIPIENT_FRAME;
    }
    return bytes < RECIPIENTS_PACKET;
}

static bool go_to_disk(struct intake *intake) {
    if (intake->on_disk) return true;
    return intake->file < 0 ? open_disk_file(intake) : spill(intake);
}

/* The content is whole: nobody, this process least of all, may change it from now on. */
static bool close_content(struct intake *intake) {
    /* Even nothing is written out: content of no length has its file, too. */
    write_out(intake);
    if (intake->fault.reply_code) return false;
    if (!intake->on_disk) return fcntl(intake->file, F_ADD_SEALS, ALL_SEALS) == 0 || fault_errno(intake, errno);
    int closed = close(intake->file);
    intake->file = -1;
    return closed == 0 || fault_errno(intake, errno);
}

static uint64_t age_of(const struct intake *intake) {
    int64_t age = clock_date() - intake->begun;
    return age > 0 ? (uint64_t)age : 0; /* the clock may have been set back */
}

static void tell_refusals(const struct intake_envelope *envelope, const struct ipc_cleanup_committed *committed) {
    struct ipc_refused row;
    size_t offset = 0;
    bool bad = false;
    while (ipc_list_next(committed->refused, IPC_ROW_REFUSED, &offset, &row, &bad)) {
        if (row.index >= envelope->recipient_count) continue;
        struct intake_refusal *refusal = &envelope->refusals[row.index];
        refusal->refused = true;
        snprintf(refusal->status, sizeof refusal->status, "%.*s", STR_ARGS(row.status));
        snprintf(refusal->text, sizeof refusal->text, "%.*s", STR_ARGS(row.text));
    }
}

static bool commit(struct intake *intake, const struct intake_envelope *envelope, deadline until,
                   struct intake_failure *failure) {
    struct arena *arena = arena_create(0);
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    struct ipc_reply reply = {.descriptor = -1};
    enum ipc_result result = IPC_UNREACHABLE;
    if (send_recipients(intake, envelope, until, &rows, &count)) {
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
            .age = age_of(intake),
            .recipients = {buf_str(&rows), count},
            .report = (uint64_t)envelope->report,
            .release = (uint64_t)envelope->wish.release,
            .deliver_by = (uint64_t)envelope->wish.deliver_by,
            .by_mode = (uint64_t)envelope->wish.by_mode,
            .by_trace = envelope->wish.by_trace,
            .priority = priority_to_number(envelope->wish.priority),
            .tls = envelope->wish.tls,
            .each_recipient = envelope->refusals != NULL,
        };
        result = ipc_ask(intake->source->cleanup, IPC_CLEANUP_COMMIT, &request, intake->file, IPC_CLEANUP_COMMITTED,
                         until, arena, &reply, NULL);
    }
    if (result != IPC_OK) refuse_result(failure, result, &reply);
    if (result == IPC_OK && envelope->refusals) tell_refusals(envelope, reply.message);
    buf_free(&rows);
    arena_destroy(&arena);
    return result == IPC_OK;
}

bool intake_commit(struct intake **intake, const struct intake_envelope *envelope, deadline until,
                   struct intake_failure *failure) {
    bool ready = (*intake)->fault.reply_code == 0 && (recipients_fit(envelope) || go_to_disk(*intake));
    if (!close_content(*intake) || !ready) {
        *failure = (*intake)->fault;
        intake_cancel(intake); /* on a full disk its file would help to keep it full */
        return false;
    }
    bool good = commit(*intake, envelope, until, failure);
    /* Not asked, or refused before it looked, cleanup may still have the file: it would stay in tmp/ for as long as
     * the connection lasts, and cleanup, which waits for a commit, would not let itself be replaced. */
    if (good)
        intake_free(intake);
    else
        intake_cancel(intake);
    return good;
}
