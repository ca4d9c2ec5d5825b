/* The end of a pass: every recipient that was tried has an answer. What is owed is
 * paid in this order, and each step is in the file before the next begins:
 *
 *   1. expiry      what has waited too long fails
 *   2. notices     to the sender: failed; the report, if asked for; delivered, if asked for; once: delayed
 *   3. removal     when nothing is owed to any recipient, nor a report to the sender
 *   4. deferral    else: events synced, next attempt in the index, file in cur/
 *
 * A notice that cannot be written leaves its recipients owing, and the message deferred. */
#include "qmgr.h"
#include "delivery_log.h"
#include "log.h"
#include "logins.h"
#include <errno.h>
#include <unistd.h>

#define BOUNCE_PATIENCE   120000          /* ms */
#define NOTE_PAUSE        5000            /* ms between attempts to write down what was delivered */
#define CLOCK_TOLERANCE   ((int64_t)3600) /* seconds that a message may seem to come from the future */
#define NOTICE_ROWS_LIMIT ((size_t)100000)

static size_t count_state(const struct message *message, unsigned state) {
    size_t count = 0;
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        if (message->envelope.recipients[i].state == state) count++;
    return count;
}

static void set_state(struct message *message, size_t index, unsigned state) {
    struct queue_recipient *recipient = &message->envelope.recipients[index];
    recipient->state = state;
    message_note(message, index);
}

/* ---- 1. */

/* Seconds. A message from the future came when the clock was wrong: its age is what its attempts have taken. */
static int64_t age_of(const struct message *message, int64_t now) {
    int64_t age = now - message_begun(message);
    if (age >= -CLOCK_TOLERANCE) return age;
    return (int64_t)message->envelope.attempts * message->qmgr->config->maximal_backoff_time;
}

static void expire(struct message *message, int64_t now) {
    const struct config *config = message->qmgr->config;
    struct queue_envelope *envelope = &message->envelope;
    int64_t lifetime = envelope->sender.length ? config->maximal_queue_lifetime : config->bounce_queue_lifetime;
    bool out_of_time = message_is_out_of_time(message, now);
    bool too_old = age_of(message, now) >= lifetime || out_of_time;
    if (!too_old && !envelope->force_expire && !message->wish_expire) return;
    if (count_state(message, QUEUE_RECIPIENT_WAITING) == 0) return;
    struct buf sender = buf_make(1200);
    delivery_log_address(&sender, envelope->sender);
    log_message(str_from(message->queue_id), "from=<%s>, status=%s, returned to sender", buf_string(&sender),
                too_old ? "expired" : "force-expired");
    buf_free(&sender);
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        struct queue_recipient *recipient = &envelope->recipients[i];
        if (recipient->state != QUEUE_RECIPIENT_WAITING) continue;
        if (recipient->status.length == 0 || recipient->status.data[0] == '4') recipient->status = STR("4.4.7");
        if (recipient->reason.length == 0) recipient->reason = STR("message expired before it could be delivered");
        if (out_of_time) { /* RFC 2852 section 5 */
            recipient->status = STR("5.4.7");
            recipient->reason = STR("the time in which its sender wanted it delivered is over");
            recipient->diagnostic = recipient->remote_mta = STR_EMPTY;
        }
        recipient->action = DELIVERY_FAILED;
        set_state(message, i, message_state_after(message, recipient, DELIVERY_FAILED));
    }
}

/* ---- 2. */

static bool pack_row(const struct queue_recipient *recipient, struct buf *rows, uint32_t *count) {
    struct ipc_bounced row = {.address = recipient->address,
                              .original = recipient->original,
                              .orcpt = recipient->orcpt,
                              .status = recipient->status,
                              .text = recipient->reason,
                              .remote_mta = recipient->remote_mta,
                              .diagnostic = recipient->diagnostic,
                              .action = recipient->action,
                              .last_attempt = (uint64_t)recipient->last_attempt};
    return ipc_list_add(IPC_ROW_BOUNCED, &row, rows, count);
}

static bool pack_bounced(const struct message *message, unsigned state, unsigned need_notify, struct buf *rows,
                         uint32_t *count) {
    for (size_t i = 0; i < message->envelope.recipient_count && rows->length < NOTICE_ROWS_LIMIT; i++) {
        const struct queue_recipient *recipient = &message->envelope.recipients[i];
        if (recipient->state != state) continue;
        if (need_notify && recipient->notify != NOTIFY_NONE && !(recipient->notify & need_notify)) continue;
        if (!pack_row(recipient, rows, count)) return false;
    }
    return true;
}

static const char *notice_name(enum notice_kind kind) {
    switch (kind) {
    case NOTICE_FAILED:
        return "non-delivery notification";
    case NOTICE_DELAYED:
        return "delay notification";
    case NOTICE_SUCCESS:
    case NOTICE_REPORT:
    case NOTICE_PROBE:
        return "delivery status notification";
    }
    return "notification";
}

/* That one was written is told by bounce, in the log too. */
static bool ask_bounce(struct message *message, enum notice_kind kind, struct ipc_list rows, int64_t now) {
    const struct queue_envelope *envelope = &message->envelope;
    struct str queue_id = str_from(message->queue_id);
    struct ipc_bounce_send request = {
        .kind = kind,
        .queue_id = queue_id,
        .content_offset = message->content_offset,
        .content_length = message->header.content_length,
        .smtputf8 = envelope->smtputf8,
        .tls = envelope->wish.tls,
        .sender = envelope->sender,
        .envelope_id = envelope->envelope_id,
        .return_content = envelope->return_content,
        .arrival = (uint64_t)(envelope->arrival / CLOCK_SECOND),
        .retry_until = (uint64_t)(message_begun(message) + message->qmgr->config->maximal_queue_lifetime),
        .recipients = rows};
    (void)now;
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    enum ipc_result result = ipc_ask(message->qmgr->bounce, IPC_BOUNCE_SEND, &request, message->shared, IPC_BOUNCE_SENT,
                                     deadline_in(BOUNCE_PATIENCE), arena, &reply, &failure);
    if (result != IPC_OK) {
        const struct ipc_failed *failed = result == IPC_REFUSED ? reply.message : NULL;
        struct str why = failed ? failed->text : str_from(failure.text);
        log_message_warning(queue_id, "%s cannot be written: %.*s; tried again later", notice_name(kind),
                            STR_ARGS(why));
    }
    arena_destroy(&arena);
    return result == IPC_OK;
}

/* A notice for all recipients in a state; they then owe nothing. In portions if they are very many. */
static bool pay_notice(struct message *message, enum notice_kind kind, unsigned state, int64_t now) {
    while (count_state(message, state) > 0) {
        struct buf rows = buf_make(0);
        uint32_t count = 0;
        bool good = pack_bounced(message, state, 0, &rows, &count) &&
                    ask_bounce(message, kind, (struct ipc_list){buf_str(&rows), count}, now);
        buf_free(&rows);
        if (!good) return false;
        for (size_t i = 0; i < message->envelope.recipient_count && count > 0; i++) {
            if (message->envelope.recipients[i].state != state) continue;
            set_state(message, i, QUEUE_RECIPIENT_DONE);
            count--;
        }
    }
    return true;
}

/* Somebody has not been tried at all: the pass was cut short. */
static bool has_untried(const struct message *message) {
    for (size_t i = 0; i < message->envelope.recipient_count; i++) {
        const struct queue_recipient *recipient = &message->envelope.recipients[i];
        if (recipient->state == QUEUE_RECIPIENT_WAITING && recipient->last_attempt == 0) return true;
    }
    return false;
}

/* The report on all recipients once each has been tried: one, but for very many recipients. Who is in it as
 * delivered needs no success notice. False: it is still owed. */
static bool pay_report(struct message *message, int64_t now) {
    struct queue_envelope *envelope = &message->envelope;
    if (!message_owes_report(message) || has_untried(message)) return true;
    enum notice_kind kind = message_is_probe(message) ? NOTICE_PROBE : NOTICE_REPORT;
    for (size_t i = 0; i < envelope->recipient_count;) {
        struct buf rows = buf_make(0);
        uint32_t count = 0;
        bool good = true;
        for (; good && i < envelope->recipient_count && rows.length < NOTICE_ROWS_LIMIT; i++)
            good = pack_row(&envelope->recipients[i], &rows, &count);
        good = good && ask_bounce(message, kind, (struct ipc_list){buf_str(&rows), count}, now);
        buf_free(&rows);
        if (!good) return false;
    }
    envelope->report_sent = now;
    struct queue_event event = {.type = EVENT_REPORT, .when = now};
    message_event(message, &event);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        if (envelope->recipients[i].state == QUEUE_RECIPIENT_DELIVERED) set_state(message, i, QUEUE_RECIPIENT_DONE);
    return true;
}

static void warn_of_delay(struct message *message, int64_t now) {
    struct queue_envelope *envelope = &message->envelope;
    int64_t after = message->qmgr->config->delay_warning_time;
    if (after <= 0 || envelope->delay_notice || envelope->sender.length == 0 || message_is_probe(message) ||
        message_is_postmaster_notice(message))
        return;
    if (now - message_begun(message) < after) return;
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    if (pack_bounced(message, QUEUE_RECIPIENT_WAITING, NOTIFY_DELAY, &rows, &count) &&
        (count == 0 || ask_bounce(message, NOTICE_DELAYED, (struct ipc_list){buf_str(&rows), count}, now))) {
        envelope->delay_notice = now;
        struct queue_event event = {.type = EVENT_DELAY_NOTICE, .when = now};
        message_event(message, &event);
    }
    buf_free(&rows);
}

/* RFC 2852 section 4, by-mode N: its time is over, and it is tried on. */
static void tell_late(struct message *message, int64_t now) {
    struct queue_envelope *envelope = &message->envelope;
    if (envelope->wish.by_mode != DELIVER_BY_NOTIFY || !envelope_wish_is_late(&envelope->wish, now) ||
        envelope->late_notice || envelope->sender.length == 0 || message_is_probe(message))
        return;
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    for (size_t i = 0; i < envelope->recipient_count; i++)
        if (envelope->recipients[i].state == QUEUE_RECIPIENT_WAITING) envelope->recipients[i].status = STR("4.4.7");
    if (pack_bounced(message, QUEUE_RECIPIENT_WAITING, NOTIFY_DELAY, &rows, &count) &&
        (count == 0 || ask_bounce(message, NOTICE_DELAYED, (struct ipc_list){buf_str(&rows), count}, now))) {
        envelope->late_notice = now;
        struct queue_event event = {.type = EVENT_LATE_NOTICE, .when = now};
        message_event(message, &event);
    }
    buf_free(&rows);
}

/* ---- 3. and 4. */

struct sync_call {
    int file, error_number;
};

static void call_fsync(void *argument) {
    struct sync_call *call = argument;
    call->error_number = fsync(call->file) < 0 ? errno : 0;
}

/* A failed sync is not repeated: what it may have lost is the note of a delivery, so at worst a duplicate. */
static void sync_events(struct message *message) {
    if (!message->unsynced) return;
    struct sync_call call = {.file = message->file};
    task_run_blocking(call_fsync, &call);
    message->unsynced = false;
    if (call.error_number)
        log_message_warning(str_from(message->queue_id),
                            "cannot sync the queue file: %s; a power cut now may deliver twice",
                            strerror(call.error_number));
}

/* What was delivered and could not be written down (a full disk) would be delivered again at every
 * attempt. So the message is not let go before it is; nor by a qmgr that is replaced, for its successor would deliver
 * again at once. */
static void note_all(struct message *message) {
    while (message->unnoted && !message->qmgr->stopping && !message->wish_delete) {
        if (task_sleep(NOTE_PAUSE) == WAIT_CANCELLED) return;
        message->unnoted = false;
        for (size_t i = 0; i < message->envelope.recipient_count && !message->unnoted; i++)
            if (message->envelope.recipients[i].state != QUEUE_RECIPIENT_WAITING) message_note(message, i);
    }
}

static void defer(struct message *message, int64_t now) {
    struct queue_envelope *envelope = &message->envelope;
    if (message->qmgr->draining && !message->tried) { /* cut short by the drain: the successor takes it up at once */
        sync_events(message);
        return;
    }
    int64_t next = next_attempt_after(message->qmgr->config, message_begun(message), now);
    /* What is due when the time to deliver is over is done then, not at the next attempt. */
    if (envelope->wish.by_mode != DELIVER_BY_NOT && envelope->wish.deliver_by > now && envelope->wish.deliver_by < next)
        next = envelope->wish.deliver_by;
    struct queue_event event = {.type = EVENT_SCHEDULE, .when = next, .attempts = envelope->attempts + 1};
    message_event(message, &event);
    sync_events(message);
    deferred_put(message->qmgr, message, next);
}

static int folder_of(const struct message *message) {
    if (message->held) return message->qmgr->hold;
    return message->deferred ? message->qmgr->cur : message->qmgr->new;
}

static void remove_message(struct message *message, const char *word) {
    log_message(str_from(message->queue_id), "%s", word);
    queue_remove(message->qmgr, folder_of(message), str_from(message->queue_id), message->file);
    message->file = -1; /* it is closed, and with it the lock gone, when the name is */
}

static bool put_on_hold(struct message *message, const char *why) {
    struct qmgr *qmgr = message->qmgr;
    int error_number = 0;
    sync_events(message);
    if (!queue_move(qmgr, folder_of(message), qmgr->hold, message->queue_id, &error_number)) {
        log_message_warning(str_from(message->queue_id), "cannot be put on hold: %s", strerror(error_number));
        return false;
    }
    message->held = true;
    log_message(str_from(message->queue_id), "%s", why);
    deferred_forget(qmgr, str_from(message->queue_id));
    return true;
}

/* Expiry and notices; true when nothing is owed to anybody. Others run meanwhile: an expiry may be wished then. */
static bool settle_accounts(struct message *message, int64_t now) {
    bool paid, expired;
    do {
        expired = message->wish_expire;
        expire(message, now);
        paid = pay_notice(message, NOTICE_FAILED, QUEUE_RECIPIENT_FAILED, now) && pay_report(message, now) &&
               pay_notice(message, NOTICE_SUCCESS, QUEUE_RECIPIENT_DELIVERED, now);
        if (count_state(message, QUEUE_RECIPIENT_WAITING) > 0) tell_late(message, now);
        if (count_state(message, QUEUE_RECIPIENT_WAITING) > 0) warn_of_delay(message, now);
    } while (message->wish_expire && !expired);
    return paid && count_state(message, QUEUE_RECIPIENT_WAITING) == 0;
}

/* A notice that cannot be delivered even to the postmaster waits for an operator: there is
 * nobody left to tell (lessons.md, durability 6). */
static bool hold_for_operator(struct message *message) {
    return count_state(message, QUEUE_RECIPIENT_FAILED) > 0 && message_is_postmaster_notice(message) &&
           put_on_hold(message, "undeliverable postmaster notification: placed on hold");
}

static const char *hold_words(const struct message *message) {
    return logins_is_held(message->qmgr, message->envelope.login) ? "placed on hold: its account is on hold"
                                                                  : "placed on hold";
}

/* Where the message goes that is not done: others run while files move, and operators may wish again then. True: it is
 * removed. */
static bool leave(struct message *message, int64_t now) {
    unsigned wishes;
    bool deferred = false;
    do {
        wishes = message->wishes;
        if (message->wish_delete) {
            remove_message(message, "removed");
            return true;
        }
        if (message->held || (message->wish_hold && put_on_hold(message, hold_words(message)))) continue;
        if (!deferred) defer(message, now);
        deferred = true;
    } while (message->wishes != wishes);
    return false;
}

static void finish_task(void *argument) {
    struct message *message = argument;
    struct qmgr *qmgr = message->qmgr;
    int64_t now = clock_date() / CLOCK_SECOND;
    bool removed = message->wish_delete;
    if (!removed && message_is_postmaster_notice(message)) {
        expire(message, now);
        removed = !hold_for_operator(message) && count_state(message, QUEUE_RECIPIENT_DONE) == message->envelope.recipient_count;
    } else if (!removed) {
        removed = settle_accounts(message, now);
    }
    bool expired = message->wish_expire;
    if (!removed && !message->held) note_all(message);
    if (removed)
        remove_message(message, "removed");
    else
        removed = leave(message, now);
    if (!removed && !message->held && message->wish_expire && !expired) { /* it came too late for this round */
        message_finish(message);
        return;
    }
    char name[QUEUE_ID_SIZE];
    memcpy(name, message->queue_id, sizeof name);
    bool requeue = message->wish_requeue && !removed && !qmgr->draining;
    message_free(&message);
    if (requeue) change_at_rest(qmgr, name, QUEUE_REQUEUE);
}

void message_finish(struct message *message) {
    if (message->direct) {
        message->direct_finish(message);
        return;
    }
    bool done = count_state(message, QUEUE_RECIPIENT_DONE) == message->envelope.recipient_count;
    if (done && !message_owes_report(message)) {
        remove_message(message, "removed");
        message_free(&message);
    } else if (!task_start("finish", finish_task, message)) {
        log_message_warning(str_from(message->queue_id), "out of resources: looked at again later");
        incoming_again(message->qmgr, 1000);
        message_free(&message);
    }
}
