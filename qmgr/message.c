/* A message under way: what is known of it, and what is written down about it. */
#include "qmgr.h"
#include "delivery_log.h"
#include "log.h"
#include "logins.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_ARENA_LIMIT ((size_t)512 << 20)
#define EVENTS_ENOUGH       ((size_t)16 << 20) /* bytes of events in a file from which on only what matters is noted */

bool qmgr_has_room(const struct qmgr *qmgr, bool for_deferred) {
    size_t limit = (size_t)qmgr->config->qmgr_message_active_limit;
    size_t recipients = (size_t)qmgr->config->qmgr_message_recipient_limit;
    /* A quarter is kept for new mail, so that a deferred flood does not hold it up. */
    if (for_deferred) {
        limit -= limit / 4;
        recipients -= recipients / 4;
    }
    return map_count(qmgr->active) < limit && qmgr->active_recipients < recipients;
}

bool qmgr_has_room_for_small(const struct qmgr *qmgr) {
    return map_count(qmgr->active) < (size_t)qmgr->config->qmgr_message_active_limit;
}

/* Else one message to very many, at a destination that is slow, would hold up everybody's mail. */
bool qmgr_has_room_for(const struct qmgr *qmgr, size_t recipient_count) {
    return qmgr->active_recipients < (size_t)qmgr->config->qmgr_message_recipient_limit ||
           recipient_count <= (size_t)qmgr->config->qmgr_message_recipient_minimum;
}

struct message *message_create(struct qmgr *qmgr, struct str queue_id) {
    struct message *message = MEMORY_NEW(struct message);
    message->qmgr = qmgr;
    message->file = message->shared = message->memory = -1;
    message->content_offset = QUEUE_HEADER_SIZE;
    message->activated = clock_date();
    message->arena = arena_create(MESSAGE_ARENA_LIMIT);
    snprintf(message->queue_id, sizeof message->queue_id, "%.*s", STR_ARGS(queue_id));
    map_put(qmgr->active, queue_id, message);
    return message;
}

void message_free(struct message **message) {
    struct message *freed = *message;
    if (!freed) return;
    *message = NULL;
    struct qmgr *qmgr = freed->qmgr;
    map_remove(qmgr->active, str_from(freed->queue_id));
    qmgr->active_recipients -= freed->envelope.recipient_count;
    if (freed->file >= 0) close(freed->file);
    if (freed->shared >= 0) close(freed->shared);
    if (freed->memory >= 0) close(freed->memory);
    MEMORY_FREE(freed->direct);
    arena_destroy(&freed->arena);
    MEMORY_FREE(freed);
    if (qmgr->incoming.first || qmgr->large.first || qmgr->ripe) task_queue_wake_one(&qmgr->incoming_wait);
    if (qmgr->due_waits || qmgr->flush_all) task_queue_wake_one(&qmgr->deferred_wait);
}

void message_memory_unused(struct message *message) {
    if (--message->memory_users > 0 || message->memory < 0) return;
    close(message->memory);
    message->memory = -1;
}

/* ---- events */

static bool append(struct message *message, struct str bytes) {
    uint64_t offset = message->events_end;
    while (bytes.length > 0) {
        ssize_t written = pwrite(message->file, bytes.data, bytes.length, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        bytes = str_from_offset(bytes, (size_t)written);
        offset += (uint64_t)written;
    }
    message->events_end = offset;
    message->unsynced = true;
    return true;
}

bool message_event(struct message *message, const struct queue_event *event) {
    struct buf bytes = buf_make(0);
    bool good = queue_event_pack(event, &bytes) && append(message, buf_str(&bytes));
    if (!good)
        log_message_warning(str_from(message->queue_id),
                            "cannot note progress in the queue file: %s; a crash now may deliver twice",
                            strerror(errno));
    buf_free(&bytes);
    return good;
}

static bool all_done(const struct message *message) {
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        if (message->envelope.recipients[i].state != QUEUE_RECIPIENT_DONE) return false;
    return true;
}

int64_t message_begun(const struct message *message) {
    return envelope_wish_begin(&message->envelope.wish, message->envelope.arrival / CLOCK_SECOND);
}

bool message_is_out_of_time(const struct message *message, int64_t now) {
    return message->envelope.wish.by_mode == DELIVER_BY_RETURN && envelope_wish_is_late(&message->envelope.wish, now);
}

bool message_is_postmaster_notice(const struct message *message) {
    struct str sender = message->envelope.sender, local, domain;
    return str_cut(sender, '@', &local, &domain) &&
           str_equal_nocase(local, message->qmgr->config->double_bounce_sender) &&
           str_equal_nocase(domain, message->qmgr->config->myhostname);
}

bool message_is_probe(const struct message *message) {
    return message->envelope.report == REPORT_VERIFY;
}

bool message_owes_report(const struct message *message) {
    const struct queue_envelope *envelope = &message->envelope;
    return envelope->report != REPORT_NONE && envelope->report_sent == 0 && envelope->sender.length > 0 &&
           !message_is_postmaster_notice(message);
}

/* NOTIFY speaks of notices to the sender. Notices themselves carry NOTIFY=NEVER: their failure is the
 * postmaster's business, or the operator's. */
static bool owes_failure(const struct message *message, unsigned notify) {
    return notify == NOTIFY_NONE || notify & NOTIFY_FAILURE || message->envelope.sender.length == 0 ||
           message_is_postmaster_notice(message);
}

/* RFC 2852 section 4: with T each relay says that it relayed. */
static bool is_traced(const struct message *message, unsigned notify) {
    return message->envelope.wish.by_trace && !(notify & NOTIFY_NEVER) && message->envelope.sender.length > 0;
}

/* RFC 3461 section 5.2. Of a probe the report tells all, and what it says is the last word. */
unsigned message_state_after(const struct message *message, const struct queue_recipient *recipient, unsigned action) {
    unsigned notify = recipient->notify;
    if (message_is_probe(message)) return QUEUE_RECIPIENT_DONE;
    switch ((enum delivery_action)action) {
    case DELIVERY_DELIVERED:
    case DELIVERY_EXPANDED:
        return notify & NOTIFY_SUCCESS ? QUEUE_RECIPIENT_DELIVERED : QUEUE_RECIPIENT_DONE;
    case DELIVERY_RELAYED:
        return notify & NOTIFY_SUCCESS || is_traced(message, notify) ? QUEUE_RECIPIENT_DELIVERED : QUEUE_RECIPIENT_DONE;
    case DELIVERY_RELAYED_DSN:
        return is_traced(message, notify) ? QUEUE_RECIPIENT_DELIVERED : QUEUE_RECIPIENT_DONE;
    case DELIVERY_FAILED:
        return owes_failure(message, notify) ? QUEUE_RECIPIENT_FAILED : QUEUE_RECIPIENT_DONE;
    case DELIVERY_DEFERRED:
        return QUEUE_RECIPIENT_WAITING;
    }
    return QUEUE_RECIPIENT_WAITING;
}

static struct str keep(struct message *message, struct str text) {
    struct str copy = STR_EMPTY;
    return arena_copy(message->arena, text, &copy) ? copy : STR_EMPTY;
}

/* Texts matter as long as a notice or a listing may show them. */
void message_note(struct message *message, size_t index) {
    if (message->direct) return; /* there is no file yet: direct_adopt writes it all down */
    const struct queue_recipient *recipient = &message->envelope.recipients[index];
    uint64_t begin = QUEUE_HEADER_SIZE + message->header.content_length + message->header.envelope_length;
    struct queue_event event = {.type = EVENT_RECIPIENT,
                                .index = index,
                                .state = recipient->state,
                                .action = recipient->action,
                                .status = recipient->status,
                                .when = recipient->last_attempt};
    bool enough = message->events_end - begin > EVENTS_ENOUGH;
    if (enough && recipient->state == QUEUE_RECIPIENT_WAITING) return;
    if (!enough && (recipient->state != QUEUE_RECIPIENT_DONE || message_owes_report(message))) {
        event.reason = recipient->reason;
        event.remote_mta = recipient->remote_mta;
        event.diagnostic = recipient->diagnostic;
    }
    if (!message_event(message, &event) && recipient->state != QUEUE_RECIPIENT_WAITING) message->unnoted = true;
}

/* Waiting on for the same reason is no news; a bulk message that waits for days must not grow by it. */
static bool is_news(const struct queue_recipient *before, const struct queue_recipient *after) {
    return after->state != QUEUE_RECIPIENT_WAITING || before->state != QUEUE_RECIPIENT_WAITING ||
           !str_equal(before->status, after->status) || !str_equal(before->reason, after->reason) ||
           !str_equal(before->remote_mta, after->remote_mta) || !str_equal(before->diagnostic, after->diagnostic);
}

void message_outcome(struct message *message, const struct ipc_outcome *said) {
    if (said->index >= message->envelope.recipient_count) return;
    struct queue_recipient *recipient = &message->envelope.recipients[said->index];
    struct ipc_outcome softened = *said, *outcome = &softened;
    char soft_status[DELIVERY_STATUS_SIZE];
    if (!message_is_probe(message)) delivery_soften(message->qmgr->config, outcome, soft_status);
    unsigned action = (unsigned)outcome->action;
    const struct queue_recipient before = *recipient;
    recipient->action = action;
    if (action == DELIVERY_FAILED && outcome->remote_mta.length) logins_bounced(message->qmgr, message->envelope.login);
    recipient->state = message_state_after(message, recipient, action);
    if (recipient->state == QUEUE_RECIPIENT_WAITING) message->tried = true;
    recipient->last_attempt = clock_date() / CLOCK_SECOND;
    recipient->status = keep(message, outcome->status);
    recipient->reason = keep(message, outcome->text);
    recipient->remote_mta = keep(message, outcome->remote_mta);
    recipient->diagnostic = keep(message, outcome->diagnostic);
    /* The last success needs no note: the file goes. Unless a report is still to be made of it. */
    if (recipient->state == QUEUE_RECIPIENT_DONE && all_done(message) && !message_owes_report(message)) return;
    if (is_news(&before, recipient)) message_note(message, outcome->index);
}

bool message_wish(struct message *message, enum queue_change change) {
    if (change == QUEUE_RELEASE) return false; /* it is not on hold */
    message->wish_delete |= change == QUEUE_DELETE;
    message->wish_hold |= change == QUEUE_HOLD;
    message->wish_expire |= change == QUEUE_EXPIRE || change == QUEUE_EXPIRE_RELEASE;
    message->wish_requeue |= change == QUEUE_REQUEUE;
    message->wishes++;
    return true;
}
