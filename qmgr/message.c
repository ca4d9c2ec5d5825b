/* A message taken up: opened, read, checked, its recipients resolved and put in line;
 * and what is written down about it. */
#include "qmgr.h"
#include "delivery_log.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define MESSAGE_ARENA_LIMIT ((size_t)512 << 20)
#define RESOLVE_PATIENCE 60000 /* ms */

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
    arena_destroy(&freed->arena);
    MEMORY_FREE(freed);
    task_queue_wake_one(&qmgr->active_wait);
    task_queue_wake_one(&qmgr->deferred_wait);
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
        log_message_warning(str_from(message->queue_id), "cannot note progress in the queue file: %s; a crash now may deliver twice",
                            strerror(errno));
    buf_free(&bytes);
    return good;
}

static bool all_done(const struct message *message) {
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        if (message->envelope.recipients[i].state != QUEUE_RECIPIENT_DONE) return false;
    return true;
}

/* What is owed after this outcome (RFC 3461 section 5.2). */
static unsigned state_after(const struct queue_recipient *recipient, unsigned action) {
    unsigned notify = recipient->notify;
    switch ((enum delivery_action)action) {
    case DELIVERY_DELIVERED:
    case DELIVERY_RELAYED:
    case DELIVERY_EXPANDED:
        return notify & NOTIFY_SUCCESS ? QUEUE_RECIPIENT_DELIVERED : QUEUE_RECIPIENT_DONE;
    case DELIVERY_RELAYED_DSN:
        return QUEUE_RECIPIENT_DONE;
    case DELIVERY_FAILED:
        return notify == NOTIFY_NONE || notify & NOTIFY_FAILURE ? QUEUE_RECIPIENT_FAILED : QUEUE_RECIPIENT_DONE;
    case DELIVERY_DEFERRED:
        return QUEUE_RECIPIENT_WAITING;
    }
    return QUEUE_RECIPIENT_WAITING;
}

static struct str keep(struct message *message, struct str text) {
    struct str copy = STR_EMPTY;
    return arena_copy(message->arena, text, &copy) ? copy : STR_EMPTY;
}

void message_outcome(struct message *message, const struct ipc_outcome *outcome) {
    if (outcome->index >= message->envelope.recipient_count) return;
    struct queue_recipient *recipient = &message->envelope.recipients[outcome->index];
    unsigned action = (unsigned)outcome->action;
    if (action == DELIVERY_FAILED && message->qmgr->config->soft_bounce) action = DELIVERY_DEFERRED;
    if (action == DELIVERY_DEFERRED) message->tried = true;
    recipient->action = action;
    recipient->state = state_after(recipient, action);
    recipient->last_attempt = clock_date() / CLOCK_SECOND;
    recipient->status = keep(message, outcome->status);
    recipient->reason = keep(message, outcome->text);
    recipient->remote_mta = keep(message, outcome->remote_mta);
    recipient->diagnostic = keep(message, outcome->diagnostic);
    /* The last success needs no note: the file goes. */
    if (recipient->state == QUEUE_RECIPIENT_DONE && all_done(message)) return;
    struct queue_event event = {.type = EVENT_RECIPIENT, .index = outcome->index, .state = recipient->state,
                                .action = action, .status = recipient->status, .reason = recipient->reason,
                                .remote_mta = recipient->remote_mta, .diagnostic = recipient->diagnostic,
                                .when = recipient->last_attempt};
    message_event(message, &event);
}

/* ---- taking up */

/* What does not check is set aside, never sent, never fatal. */
static void set_aside(struct qmgr *qmgr, int folder, struct str queue_id, const char *why) {
    char name[QUEUE_ID_SIZE];
    snprintf(name, sizeof name, "%.*s", STR_ARGS(queue_id));
    log_message_warning(queue_id, "%s: moved to the queue folder corrupt, not sent; look at it with terncat", why);
    if (renameat(folder, name, qmgr->corrupt, name) < 0)
        log_message_warning(queue_id, "cannot move it there: %s", strerror(errno));
    deferred_forget(qmgr, queue_id);
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

static bool open_message(struct message *message, int folder, bool check) {
    struct str queue_id = str_from(message->queue_id);
    struct failure failure = {0};
    message->file = openat(folder, message->queue_id, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (message->file < 0 && errno == ENOENT) {
        deferred_forget(message->qmgr, queue_id);
        return false;
    }
    if (message->file >= 0) message->shared = openat(folder, message->queue_id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (message->file >= 0 && flock(message->file, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        message->qmgr->incoming_overflow = true; /* a draining predecessor is still delivering it */
        return false;
    }
    if (message->file < 0 || message->shared < 0) {
        log_message_warning(queue_id, "cannot open the queue file: %s; tried again later", strerror(errno));
        message->qmgr->incoming_overflow = true;
        return false;
    }
    bool good = queue_file_read(message->file, message->arena, &message->header, &message->envelope, &message->events_end, &failure);
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
        message->qmgr->incoming_overflow = true;
    } else {
        set_aside(message->qmgr, folder, queue_id, failure.text);
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
    while (job && job->destination != destination) job = job->sibling;
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

static void settle_unresolved(struct message *message, size_t index, const char *status, unsigned action, struct str text) {
    struct ipc_outcome outcome = {.index = index, .action = action, .status = str_from(status), .relay = STR("none"), .text = text};
    struct delivery_times times = {message->envelope.arrival, message->activated, clock_date()};
    const struct queue_recipient *recipient = &message->envelope.recipients[index];
    delivery_log(str_from(message->queue_id), &times, recipient->address, recipient->original, &outcome);
    message_outcome(message, &outcome);
}

static void resolve_one(struct message *message, size_t index, deadline until) {
    struct queue_recipient *recipient = &message->envelope.recipients[index];
    struct ipc_lookup_resolved answer;
    struct failure failure = {0};
    if (resolve_recipient(message->qmgr->resolve, recipient->address, message->envelope.sender, until, message->arena, &answer,
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

static void resolve_all(struct message *message) {
    deadline until = deadline_in(RESOLVE_PATIENCE);
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        if (message->envelope.recipients[i].state == QUEUE_RECIPIENT_WAITING) resolve_one(message, i, until);
}

static void queue_jobs(struct message *message) {
    for (struct job *job = message->jobs; job; job = job->sibling) message->unfinished += job->count;
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

static void activate_task(void *argument) {
    struct message *message = argument;
    struct qmgr *qmgr = message->qmgr;
    log_message(str_from(message->queue_id), "from=<%.*s>, size=%llu, nrcpt=%zu (queue active)",
                STR_ARGS(message->envelope.sender), (unsigned long long)message->header.content_length,
                message->envelope.recipient_count);
    qmgr->active_recipients += message->envelope.recipient_count;
    if (!message->envelope.force_expire) resolve_all(message);
    queue_jobs(message);
}

/* The file knows better than the index when a predecessor noted an attempt while it drained. */
static bool is_due(const struct message *message, bool flushed) {
    return flushed || message->envelope.force_expire || message->envelope.next_attempt <= clock_date() / CLOCK_SECOND + 1;
}

void message_activate(struct qmgr *qmgr, struct str queue_id, bool deferred, bool recovered, bool flushed) {
    if (map_get(qmgr->active, queue_id) || map_get(qmgr->leaving, queue_id)) return;
    struct message *message = MEMORY_NEW(struct message);
    message->qmgr = qmgr;
    message->file = message->shared = -1;
    message->deferred = deferred;
    message->perhaps_delivered = recovered;
    message->activated = clock_date();
    message->arena = arena_create(MESSAGE_ARENA_LIMIT);
    snprintf(message->queue_id, sizeof message->queue_id, "%.*s", STR_ARGS(queue_id));
    map_put(qmgr->active, queue_id, message);
    bool good = open_message(message, deferred ? qmgr->cur : qmgr->new, recovered);
    if (good && !is_due(message, flushed)) {
        deferred_put(qmgr, message, message->envelope.next_attempt);
        good = false;
    }
    size_t recipients = message->envelope.recipient_count;
    if (good && task_start("activate", activate_task, message)) return;
    qmgr->active_recipients += recipients; /* message_free takes them off */
    message_free(&message);
}
