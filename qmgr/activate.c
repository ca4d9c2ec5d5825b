/* A message taken up: opened, read, checked, its recipients resolved and put in line. */
#include "qmgr.h"
#include "address.h"
#include "delivery_log.h"
#include "log.h"
#include "logins.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_MEMORY     30    /* seconds */
#define RESOLVE_PATIENCE 60000 /* ms */

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

struct opening {
    struct message *message;
    int folder;
    bool check; /* the content, too */
    enum opened opened;
    int error_number; /* of OPENED_NOT */
    bool good;        /* of OPENED */
    struct failure failure;
};

static void open_and_read(void *argument) {
    struct opening *opening = argument;
    struct message *message = opening->message;
    opening->opened = open_and_lock(message, opening->folder);
    opening->error_number = errno;
    if (opening->opened != OPENED) return;
    opening->good = queue_file_read(message->file, message->arena, &message->header, &message->envelope,
                                    &message->events_end, &opening->failure) &&
                    (!opening->check || queue_file_check_content(message->shared, &message->header, &opening->failure));
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
    struct opening opening = {.message = message, .folder = folder, .check = check};
    /* What has just come is in the kernel's memory; else the disk may take its time. */
    if (check)
        task_run_blocking(open_and_read, &opening);
    else
        open_and_read(&opening);
    switch (opening.opened) {
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
        log_message_warning(queue_id, "cannot open the queue file: %s; tried again later",
                            strerror(opening.error_number));
        note_fault(message);
        return false;
    }
    if (opening.good) return true;
    message->envelope.recipient_count = 0;
    if (opening.failure.error_number) {
        log_message_warning(queue_id, "%s; tried again later", opening.failure.text);
        note_fault(message);
    } else {
        set_aside(qmgr, folder, queue_id, opening.failure.text);
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

static struct str key_of(struct destination *const *destination) {
    return str_make((const char *)destination, sizeof *destination);
}

/* A recipient for which there is no memory stays waiting: the next pass has it. jobs: those of the message by
 * destination, for it may have as many as recipients. */
static void add_to_job(struct message *message, struct map *jobs, struct destination *destination, size_t index) {
    struct job *job = map_get(jobs, key_of(&destination));
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
    map_put(jobs, key_of(&destination), job);
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

/* With one recipient a delivery the recipient is the destination, as in Postfix: a slow mailbox holds up nobody else's.
 * It is the same with an extension, in other letters or another of our domains: local_destination_concurrency_limit is
 * a user's. */
static void append_destination_name(const struct config *config, const struct transport *transport,
                                    struct str recipient, struct str nexthop, struct buf *name) {
    size_t at = str_find_last(recipient, '@');
    struct str base = at == STR_NONE ? recipient : str_slice(recipient, 0, at), extension;
    if (transport->recipient_limit == 1 && transport->client) {
        if (config->recipient_delimiter.length > 0)
            (void)mail_address_split_extension(base, config->recipient_delimiter, config->owner_request_special, &base,
                                               &extension);
        for (size_t i = 0; i < base.length; i++)
            buf_append_char(name, ascii_lower(base.data[i]));
        buf_append_char(name, '@');
    }
    buf_append(name, nexthop);
}

static void resolve_one(struct message *message, struct map *jobs, size_t index, deadline until, struct arena *arena) {
    struct queue_recipient *recipient = &message->envelope.recipients[index];
    struct ipc_lookup_resolved answer;
    struct failure failure = {0};
    if (resolve_recipient(message->qmgr->resolve, recipient->address, message->envelope.sender, until, arena, &answer,
                          &failure) != RESOLVE_OK) {
        settle_unresolved(message, index, "4.3.0", DELIVERY_DEFERRED,
                          str_from(failure.text[0] ? failure.text : "address resolution does not answer"));
        return;
    }
    if (!answer.known) { /* of all other domains nobody knows who is there: it is no address */
        settle_unresolved(message, index, answer.address_class == CLASS_DEFAULT ? "5.1.3" : "5.1.1", DELIVERY_FAILED,
                          answer.reject_text.length ? answer.reject_text : STR("unknown user"));
        return;
    }
    struct transport *transport = transport_find(message->qmgr, answer.transport);
    if (transport->deferred) {
        settle_unresolved(message, index, "4.3.2", DELIVERY_DEFERRED, STR("deferred transport"));
        return;
    }
    struct buf name = buf_make(1100);
    append_destination_name(message->qmgr->config, transport, recipient->address, answer.nexthop, &name);
    struct destination *destination = destination_find(transport, buf_str(&name), answer.nexthop);
    buf_free(&name);
    if (destination_is_dead(destination)) {
        struct buf text = buf_make(900);
        buf_printf(&text, "delivery temporarily suspended: %s", destination->dead_reason);
        settle_unresolved(message, index, "4.4.1", DELIVERY_DEFERRED, buf_str(&text));
        buf_free(&text);
        return;
    }
    add_to_job(message, jobs, destination, index);
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
    struct map *jobs = map_create();
    size_t foreseen = 0;
    for (size_t i = 0; i < message->envelope.recipient_count && !is_cut_short(message); i++) {
        if (message->envelope.recipients[i].state != QUEUE_RECIPIENT_WAITING) continue;
        if (i >= foreseen) foreseen = foresee(message, i, until);
        struct arena *arena = arena_create(0);
        resolve_one(message, jobs, i, until, arena);
        arena_destroy(&arena);
    }
    map_destroy(&jobs);
}

/* A new message nothing of which could begin: its place is better given to others. */
static bool is_crowded_out(const struct message *message) {
    size_t in_jobs = 0, waiting = 0;
    for (const struct job *job = message->jobs; job; job = job->sibling) {
        if (!destination_is_crowded(job->destination)) return false;
        in_jobs += job->count;
    }
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        waiting += message->envelope.recipients[i].state == QUEUE_RECIPIENT_WAITING;
    return !message->deferred && in_jobs > 0 && in_jobs == waiting;
}

static void let_go_of_jobs(struct message *message) {
    for (struct job *job = message->jobs; job; job = job->sibling)
        job->destination->holds--;
}

static void queue_jobs(struct message *message) {
    if (is_cut_short(message)) {
        let_go_of_jobs(message);
        message_finish(message);
        return;
    }
    if (is_crowded_out(message)) {
        let_go_of_jobs(message);
        message->crowded_out = true;
        if (message->direct) {
            message_finish(message); /* and goes on when it has a file */
            return;
        }
        incoming_park(message->qmgr, message->jobs->destination, str_from(message->queue_id),
                      message->perhaps_delivered);
        message_free(&message);
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
    for (size_t i = 0; i < message->envelope.recipient_count; i++) {
        int64_t last = message->envelope.recipients[i].last_attempt;
        if (last > flushed && last <= now) return false;
    }
    return true;
}

/* The file knows better than the index when a predecessor noted an attempt while it drained. */
static bool is_due(const struct message *message, bool flushed) {
    /* Nobody but its sender says when it may go; deleting and expiring it is the operator's right. */
    if (!message->envelope.force_expire && message->envelope.wish.release > clock_date() / CLOCK_SECOND) return false;
    return flushed || message->envelope.force_expire || is_meant_by_flush(message) ||
           message->envelope.next_attempt <= clock_date() / CLOCK_SECOND + 1;
}

/* It has more recipients than there is room for now. What was opened by its name is looked for by it again. */
static void put_by(struct message *message, bool handed_over) {
    struct qmgr *qmgr = message->qmgr;
    int file = handed_over ? message->file : -1;
    if (handed_over) message->file = -1;
    incoming_put_by(qmgr, str_from(message->queue_id), file, message->perhaps_delivered);
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
    bool handed_over = file >= 0;
    message->file = file;
    message->deferred = deferred;
    message->perhaps_delivered = recovered;
    bool good = open_message(message, deferred ? qmgr->cur : qmgr->new, recovered);
    bool room = deferred || qmgr_has_room_for(qmgr, message->envelope.recipient_count);
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
    if (good && !room && !has_wish(message)) {
        put_by(message, handed_over);
        good = false;
    }
    if (good && task_start("activate", activate_task, message)) return;
    if (good) {
        log_message_warning(str_from(message->queue_id), "out of resources: looked at again later");
        note_fault(message);
    }
    message_free(&message);
}
