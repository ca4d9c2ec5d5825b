/* A message taken up: opened, read, checked, its recipients resolved and put in line;
 * and what is written down about it. */
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
#define FLUSH_MEMORY        30                 /* seconds */
#define RESOLVE_PATIENCE    60000              /* ms */
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
    task_queue_wake_one(&qmgr->active_wait);
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

/* ---- taking up */

/* What does not check is set aside, never sent, never fatal. */
static void set_aside(struct qmgr *qmgr, int folder, struct str queue_id, const char *why) {
    char name[QUEUE_ID_SIZE];
    snprintf(name, sizeof name, "%.*s", STR_ARGS(queue_id));
    int error_number = 0;
    log_message_warning(queue_id, "%s: moved to the queue folder corrupt, not sent; look at it with terncat", why);
    if (queue_move(qmgr, folder, qmgr->corrupt, name, &error_number)) {
        deferred_forget(qmgr, queue_id);
        return;
    }
    log_message_warning(queue_id, "cannot move it there: %s", strerror(error_number));
    incoming_again(qmgr, FAULT_PAUSE);
}

struct content_check {
    int file;
    const struct queue_header *header;
    bool good;
    struct failure failure;
};

static void check_content(void *argument) {
    struct content_check *check = argument;
    check->good = queue_file_check_content(check->file, check->header, &check->failure);
}

enum opened { OPENED, OPENED_NOT, OPENED_LATER, OPENED_GONE };

/* Between opening and locking a draining predecessor may have moved or removed it. */
static enum opened still_stands(const struct message *message, int folder) {
    struct stat by_name, open_file;
    if (fstatat(folder, message->queue_id, &by_name, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? OPENED_LATER : OPENED_NOT;
    if (fstat(message->file, &open_file) < 0) return OPENED_NOT;
    bool same = by_name.st_ino == open_file.st_ino && by_name.st_dev == open_file.st_dev &&
                (open_file.st_nlink == 1 || !queue_has_other_name(message->qmgr, folder, message->queue_id));
    return same ? OPENED : OPENED_LATER;
}

/* What cleanup handed over is locked already, and nobody has had it since. */
static enum opened open_and_lock(struct message *message, int folder) {
    bool handed_over = message->file >= 0;
    if (!handed_over) message->file = openat(folder, message->queue_id, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (message->file < 0) return errno == ENOENT ? OPENED_GONE : OPENED_NOT;
    message->shared = openat(folder, message->queue_id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (message->shared < 0) return errno == ENOENT ? OPENED_GONE : OPENED_NOT;
    if (handed_over) return OPENED;
    if (flock(message->file, LOCK_EX | LOCK_NB) < 0) return errno == EWOULDBLOCK ? OPENED_LATER : OPENED_NOT;
    return still_stands(message, folder);
}

/* A local fault: it is looked at again in a while, wherever it stands. */
static void note_fault(struct message *message) {
    struct qmgr *qmgr = message->qmgr;
    qmgr->fault_met |= message->deferred;
    qmgr->flush_locked_met |= qmgr->flush_all;
    incoming_again(qmgr, FAULT_PAUSE);
}

static bool open_message(struct message *message, int folder, bool check) {
    struct qmgr *qmgr = message->qmgr;
    struct str queue_id = str_from(message->queue_id);
    struct failure failure = {0};
    switch (open_and_lock(message, folder)) {
    case OPENED:
        break;
    case OPENED_GONE: /* taken up twice, or removed; what is not in new/ may well stand in cur/ and in the index */
        if (message->deferred) deferred_forget(qmgr, queue_id);
        return false;
    case OPENED_LATER: /* a draining predecessor is still delivering it */
        qmgr->locked_met = true;
        qmgr->flush_locked_met |= qmgr->flush_all;
        incoming_again(qmgr, 1000);
        return false;
    case OPENED_NOT:
        log_message_warning(queue_id, "cannot open the queue file: %s; tried again later", strerror(errno));
        note_fault(message);
        return false;
    }
    bool good = queue_file_read(message->file, message->arena, &message->header, &message->envelope,
                                &message->events_end, &failure);
    if (good && check) {
        struct content_check call = {.file = message->shared, .header = &message->header};
        task_run_blocking(check_content, &call);
        good = call.good;
        failure = call.failure;
    }
    if (good) return true;
    message->envelope.recipient_count = 0;
    if (failure.error_number) {
        log_message_warning(queue_id, "%s; tried again later", failure.text);
        note_fault(message);
    } else {
        set_aside(qmgr, folder, queue_id, failure.text);
    }
    return false;
}

static bool job_add(struct message *message, struct job *job, size_t index) {
    if (job->count == job->room) {
        size_t room = job->room ? job->room * 2 : 1;
        size_t *grown = arena_allocate(message->arena, room, sizeof *grown);
        if (!grown) return false;
        if (job->count) memcpy(grown, job->indexes, job->count * sizeof *grown);
        job->indexes = grown;
        job->room = room;
    }
    job->indexes[job->count++] = index;
    return true;
}

/* A recipient for which there is no memory stays waiting: the next pass has it. */
static void add_to_job(struct message *message, struct destination *destination, size_t index) {
    struct job *job = message->jobs;
    while (job && job->destination != destination)
        job = job->sibling;
    if (job) {
        job_add(message, job, index);
        return;
    }
    job = ARENA_NEW(message->arena, struct job);
    if (!job || !job_add(message, job, index)) return;
    job->message = message;
    job->destination = destination;
    destination->holds++; /* it must not go while other recipients are still being resolved */
    job->sibling = message->jobs;
    message->jobs = job;
}

static void settle_unresolved(struct message *message, size_t index, const char *status, unsigned action,
                              struct str text) {
    struct ipc_outcome outcome = {
        .index = index, .action = action, .status = str_from(status), .relay = STR("none"), .text = text};
    struct delivery_times times = {message->envelope.arrival, message->activated, clock_date(), STR_EMPTY};
    const struct queue_recipient *recipient = &message->envelope.recipients[index];
    delivery_log(message->qmgr->config, str_from(message->queue_id), &times, recipient->address, recipient->original,
                 &outcome, message_is_probe(message));
    message_outcome(message, &outcome);
}

static void resolve_one(struct message *message, size_t index, deadline until, struct arena *arena) {
    struct queue_recipient *recipient = &message->envelope.recipients[index];
    struct ipc_lookup_resolved answer;
    struct failure failure = {0};
    if (resolve_recipient(message->qmgr->resolve, recipient->address, message->envelope.sender, until, arena, &answer,
                          &failure) != RESOLVE_OK) {
        settle_unresolved(message, index, "4.3.0", DELIVERY_DEFERRED,
                          str_from(failure.text[0] ? failure.text : "address resolution does not answer"));
        return;
    }
    if (!answer.known) {
        settle_unresolved(message, index, "5.1.1", DELIVERY_FAILED,
                          answer.reject_text.length ? answer.reject_text : STR("unknown user"));
        return;
    }
    struct transport *transport = transport_find(message->qmgr, answer.transport);
    if (transport->deferred) {
        settle_unresolved(message, index, "4.3.2", DELIVERY_DEFERRED, STR("deferred transport"));
        return;
    }
    /* With one recipient a delivery the recipient is the destination, as in Postfix: a slow
     * mailbox holds up nobody else's. */
    struct str nexthop = transport->recipient_limit == 1 && transport->client ? recipient->address : answer.nexthop;
    struct destination *destination = destination_find(transport, nexthop);
    if (destination_is_dead(destination)) {
        struct buf text = buf_make(900);
        buf_printf(&text, "delivery temporarily suspended: %s", destination->dead_reason);
        settle_unresolved(message, index, "4.4.1", DELIVERY_DEFERRED, buf_str(&text));
        buf_free(&text);
        return;
    }
    add_to_job(message, destination, index);
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

static bool has_wish(const struct message *message) {
    return message->wishes > 0 || message->wish_hold;
}

/* An operator's wish, or the drain, came before the jobs were in line. */
static bool is_cut_short(const struct message *message) {
    return message->qmgr->draining || has_wish(message);
}

/* The questions about the recipients from this one on, many in one packet; the first that was not among them. */
static size_t foresee(struct message *message, size_t from, deadline until) {
    const struct queue_envelope *envelope = &message->envelope;
    struct str addresses[RESOLVE_AT_ONCE];
    size_t count = 0, next = from;
    for (; next < envelope->recipient_count && count < RESOLVE_AT_ONCE; next++)
        if (envelope->recipients[next].state == QUEUE_RECIPIENT_WAITING)
            addresses[count++] = envelope->recipients[next].address;
    if (count > 1) resolve_foresee_recipients(message->qmgr->resolve, addresses, count, envelope->sender, until);
    return next;
}

static void resolve_all(struct message *message) {
    deadline until = deadline_in(RESOLVE_PATIENCE);
    size_t foreseen = 0;
    for (size_t i = 0; i < message->envelope.recipient_count && !is_cut_short(message); i++) {
        if (message->envelope.recipients[i].state != QUEUE_RECIPIENT_WAITING) continue;
        if (i >= foreseen) foreseen = foresee(message, i, until);
        struct arena *arena = arena_create(0);
        resolve_one(message, i, until, arena);
        arena_destroy(&arena);
    }
}

static void queue_jobs(struct message *message) {
    if (is_cut_short(message)) {
        for (struct job *job = message->jobs; job; job = job->sibling)
            job->destination->holds--;
        message_finish(message);
        return;
    }
    for (struct job *job = message->jobs; job; job = job->sibling)
        message->unfinished += job->count;
    if (message->unfinished == 0) {
        message_finish(message);
        return;
    }
    /* The message may end, and be freed, while the last job is dispatched. */
    struct job *next;
    for (struct job *job = message->jobs; job; job = next) {
        next = job->sibling;
        struct transport *transport = job->destination->transport;
        job->destination->holds--;
        destination_add_job(job->destination, job);
        transport_dispatch(transport);
    }
}

void message_begin(struct message *message) {
    struct buf sender = buf_make(1200);
    delivery_log_address(&sender, message->envelope.sender);
    log_message(str_from(message->queue_id), "from=<%s>, size=%llu, nrcpt=%zu (queue active)", buf_string(&sender),
                (unsigned long long)message->header.content_length, message->envelope.recipient_count);
    buf_free(&sender);
    if (logins_is_held(message->qmgr, message->envelope.login)) message->wish_hold = true;
    if (!message->envelope.force_expire && !message_is_out_of_time(message, clock_date() / CLOCK_SECOND))
        resolve_all(message);
    queue_jobs(message);
}

static void activate_task(void *argument) {
    message_begin(argument);
}

/* It was in a draining predecessor's hands when the queue was to be flushed, and comes from new/ now. */
static bool is_meant_by_flush(const struct message *message) {
    const struct qmgr *qmgr = message->qmgr;
    int64_t flushed = qmgr->flush_started / CLOCK_SECOND, now = clock_date() / CLOCK_SECOND;
    if (message->deferred || qmgr->flush_site[0] || flushed == 0 || now > flushed + FLUSH_MEMORY) return false;
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        if (message->envelope.recipients[i].last_attempt > flushed) return false;
    return true;
}

/* The file knows better than the index when a predecessor noted an attempt while it drained. */
static bool is_due(const struct message *message, bool flushed) {
    /* Nobody but its sender says when it may go; deleting and expiring it is the operator's right. */
    if (!message->envelope.force_expire && message->envelope.wish.release > clock_date() / CLOCK_SECOND) return false;
    return flushed || message->envelope.force_expire || is_meant_by_flush(message) ||
           message->envelope.next_attempt <= clock_date() / CLOCK_SECOND + 1;
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

void message_activate(struct qmgr *qmgr, struct str queue_id, int file, bool deferred, bool recovered, bool flushed) {
    const struct message *active = map_get(qmgr->active, queue_id);
    if (active || map_get(qmgr->leaving, queue_id)) {
        /* Its attempt has failed, as the log says, but is not written down yet. */
        if (active && flushed && active->tried && active->unfinished == 0) qmgr->flush_locked_met |= qmgr->flush_all;
        if (file >= 0) close(file);
        return;
    }
    struct message *message = message_create(qmgr, queue_id);
    message->file = file;
    message->deferred = deferred;
    message->perhaps_delivered = recovered;
    bool good = open_message(message, deferred ? qmgr->cur : qmgr->new, recovered);
    qmgr->active_recipients += message->envelope.recipient_count; /* message_free takes them off */
    if (qmgr->draining) good = false;                             /* the successor's, as soon as the lock is gone */
    if (good && !is_due(message, flushed)) {
        deferred_put(qmgr, message, message->envelope.next_attempt);
        if (has_wish(message)) { /* it came while the file moved */
            message_finish(message);
            return;
        }
        good = false;
    }
    if (good && task_start("activate", activate_task, message)) return;
    if (good) {
        log_message_warning(str_from(message->queue_id), "out of resources: looked at again later");
        note_fault(message);
    }
    message_free(&message);
}
