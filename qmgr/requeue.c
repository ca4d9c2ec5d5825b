/* Requeueing: the message goes once more through cleanup, under a new ID, with the
 * addresses as they were before expansion; then the old file goes. A crash between
 * the two leaves both: delivered twice at worst, never lost. */
#include "qmgr.h"
#include "intake.h"
#include "log.h"
#include <fcntl.h>
#include <unistd.h>

#define REQUEUE_PATIENCE 60000 /* ms */

static bool copy_content(int file, uint64_t length, struct intake *intake) {
    char bytes[32768];
    for (uint64_t done = 0; done < length;) {
        size_t part = length - done < sizeof bytes ? (size_t)(length - done) : sizeof bytes;
        ssize_t got = pread(file, bytes, part, (off_t)(QUEUE_HEADER_SIZE + done));
        if (got <= 0 || !intake_write(intake, str_make(bytes, (size_t)got))) return false;
        done += (uint64_t)got;
    }
    return true;
}

static bool owes_report(const struct queue_envelope *envelope) {
    return envelope->report != REPORT_NONE && envelope->report_sent == 0;
}

/* A notice that is owed would be forgotten with the old file; so would a report's words about who was tried. */
static bool owes_notice(const struct queue_envelope *envelope) {
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        unsigned state = envelope->recipients[i].state;
        if (state == QUEUE_RECIPIENT_FAILED || state == QUEUE_RECIPIENT_DELIVERED) return true;
        if (state == QUEUE_RECIPIENT_DONE && owes_report(envelope)) return true;
    }
    return false;
}

/* A probe stays one, whatever is owed. */
static enum report_kind report_of_copy(const struct queue_envelope *envelope) {
    return envelope->report == REPORT_VERIFY || owes_report(envelope) ? (enum report_kind)envelope->report
                                                                      : REPORT_NONE;
}

static bool commit_copy(struct intake **intake, const struct queue_envelope *envelope, struct arena *arena,
                        struct intake_failure *failure) {
    struct ipc_recipient *recipients = arena_allocate(arena, envelope->recipient_count, sizeof *recipients);
    size_t count = 0;
    for (size_t i = 0; recipients && i < envelope->recipient_count; i++) {
        const struct queue_recipient *from = &envelope->recipients[i];
        if (from->state != QUEUE_RECIPIENT_WAITING) continue;
        recipients[count++] = (struct ipc_recipient){.address = from->original.length ? from->original : from->address,
                                                     .orcpt = from->orcpt,
                                                     .notify = from->notify};
    }
    struct intake_envelope made = {.sender = envelope->sender,
                                   .envelope_id = envelope->envelope_id,
                                   .return_content = (enum return_content)envelope->return_content,
                                   .body = (enum body_type)envelope->body,
                                   .smtputf8 = envelope->smtputf8,
                                   .report = report_of_copy(envelope),
                                   .client_name = envelope->client_name,
                                   .client_address = envelope->client_address,
                                   .helo = envelope->helo,
                                   .protocol = envelope->protocol,
                                   .login = envelope->login,
                                   .message_id = envelope->message_id,
                                   .wish = envelope->wish,
                                   .recipients = recipients,
                                   .recipient_count = count};
    return intake_commit(intake, &made, deadline_in(REQUEUE_PATIENCE), failure);
}

static bool requeue_open_file(struct qmgr *qmgr, int file, struct arena *arena, char new_id[QUEUE_ID_SIZE]) {
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t events_end;
    struct intake *intake = NULL;
    struct intake_failure failure = {0};
    /* Its check sum is made anew, so an altered content must not get that far. */
    if (!queue_file_read(file, arena, &header, &envelope, &events_end, NULL) || owes_notice(&envelope) ||
        !queue_file_check_content(file, &header, NULL))
        return false;
    if (!intake_open(qmgr->intake, header.content_length, deadline_in(REQUEUE_PATIENCE), &intake, &failure))
        return false;
    snprintf(new_id, QUEUE_ID_SIZE, "%.*s", STR_ARGS(intake_queue_id(intake)));
    if (!copy_content(file, header.content_length, intake)) {
        intake_cancel(&intake);
        return false;
    }
    return commit_copy(&intake, &envelope, arena, &failure);
}

bool queue_requeue(struct qmgr *qmgr, int folder, struct str queue_id) {
    char name[QUEUE_ID_SIZE], new_id[QUEUE_ID_SIZE];
    snprintf(name, sizeof name, "%.*s", STR_ARGS(queue_id));
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return false;
    struct arena *arena = arena_create(0);
    map_put(qmgr->leaving, str_from(name), qmgr); /* others run meanwhile, and must neither deliver nor change it */
    bool good = requeue_open_file(qmgr, file, arena, new_id);
    arena_destroy(&arena);
    close(file);
    if (!good) {
        map_remove(qmgr->leaving, str_from(name));
        log_message_warning(queue_id, "cannot be requeued now; it stays as it is");
        return false;
    }
    log_message(queue_id, "requeued as %s", new_id);
    unlinkat(folder, name, 0);
    deferred_forget(qmgr, queue_id);
    map_remove(qmgr->leaving, str_from(name));
    return true;
}
