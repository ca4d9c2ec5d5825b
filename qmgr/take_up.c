/* Who is taken up next: what has arrived, what a flush asks for, what is due. */
#include "qmgr.h"
#include "log.h"

#define FIRST_TIME   20000 /* ms after the start in which new/ is scanned again and again */
#define LOOK_PAUSE   1000  /* ms from one look at what has arrived to the next, if nobody tells of anything */
#define LOOK_SECONDS 60    /* from one look at what is deferred to the next, without a reason */
#define FLUSH_ROUNDS 30    /* walks over the index for one flush */
#define FLUSH_PAUSE  1000  /* ms from one to the next */
#define DATE_SLACK   3600  /* seconds beyond the longest wait that a date may stand off */

/* ---- what has arrived */

void incoming_task(void *argument) {
    struct qmgr *qmgr = argument;
    qmgr->starting = deadline_in(FIRST_TIME);
    incoming_scan(qmgr);
    while (!qmgr->draining && !task_is_cancelled(task_current())) {
        incoming_look(qmgr);
        struct incoming *incoming = incoming_take(qmgr);
        if (!incoming) {
            enum wait_result ignored = task_queue_wait(&qmgr->incoming_wait, deadline_in(LOOK_PAUSE));
            (void)ignored; /* told of something, or there is room: look again */
            continue;
        }
        message_activate(qmgr, str_from(incoming->queue_id), incoming->file, false, incoming->recovered, false);
        MEMORY_FREE(incoming);
    }
}

/* ---- what is deferred: by flush, by time */

static bool is_meant(const struct qmgr *qmgr, struct str sites) {
    return !qmgr->flush_site[0] || deferred_is_for_site(sites, qmgr->flush_site);
}

/* A date that is still to come is of a clock that has been set back since. */
static bool was_tried_since(const struct qmgr *qmgr, struct str sites) {
    int64_t last = deferred_last_attempt(sites);
    return last > qmgr->flush_started && last <= clock_date();
}

static void walk_again(struct qmgr *qmgr) {
    qmgr->flush_all = true;
    qmgr->flush_position = 0;
    qmgr->flush_id[0] = '\0';
    qmgr->flush_waits = false;
}

/* The walk has come to its end. What a draining predecessor had locked, or what the index did not have yet, is looked
 * for again: its attempt may have begun before the flush. */
static void end_walk(struct qmgr *qmgr) {
    bool again = qmgr->rebuilding || qmgr->flush_locked_met;
    qmgr->flush_all = qmgr->flush_locked_met = false;
    qmgr->flush_waits = again && qmgr->flush_rounds++ < FLUSH_ROUNDS;
    qmgr->flush_next = deadline_in(FLUSH_PAUSE);
}

/* Walks the whole index once from the flush position, taking up what was not tried since the flush began. */
static void run_flush(struct qmgr *qmgr) {
    struct str sites;
    if (qmgr->flush_waits && deadline_left(qmgr->flush_next) == 0) walk_again(qmgr);
    while (qmgr->flush_all && qmgr->schedule && qmgr_has_room(qmgr, true)) {
        if (!schedule_next(qmgr->schedule, &qmgr->flush_position, qmgr->flush_id, &sites)) {
            end_walk(qmgr);
            return;
        }
        if (!deferred_is_for_release(sites) && !was_tried_since(qmgr, sites) && is_meant(qmgr, sites))
            message_activate(qmgr, str_from(qmgr->flush_id), -1, true, true, true);
    }
}

/* Takes up what is due, from where it ran out of room the last time (all before that is active, and
 * walking over it for each message that ends would take the square of their number). Sets due_at. */
static void run_due(struct qmgr *qmgr) {
    int64_t now = clock_date() / CLOCK_SECOND;
    char queue_id[QUEUE_ID_SIZE];
    struct str sites;
    if (!qmgr->due_waits) {
        qmgr->due_position = 0;
        qmgr->due_id[0] = '\0';
    }
    qmgr->due_waits = qmgr->locked_met = qmgr->fault_met = false;
    qmgr->due_at = now + LOOK_SECONDS;
    while (qmgr->schedule && !qmgr->index_broken) {
        if (!qmgr_has_room(qmgr, true)) {
            qmgr->due_waits = true;
            qmgr->due_at = now + 1;
            return;
        }
        if (!schedule_next(qmgr->schedule, &qmgr->due_position, qmgr->due_id, &sites)) break;
        if (qmgr->due_position > now) {
            if (qmgr->due_position < qmgr->due_at) qmgr->due_at = qmgr->due_position;
            break;
        }
        snprintf(queue_id, sizeof queue_id, "%s", qmgr->due_id);
        message_activate(qmgr, str_from(queue_id), -1, true, true, false);
    }
    if (qmgr->fault_met && qmgr->due_at > now + FAULT_PAUSE / 1000) qmgr->due_at = now + FAULT_PAUSE / 1000;
    if (qmgr->locked_met) qmgr->due_at = now + 1;
}

/* No wait is that long, but one that the sender wished for: the date was noted by a clock that has been set back
 * since. Where many are to be released late the walk over them is not made at each wake-up. */
static void run_misdated(struct qmgr *qmgr) {
    if (deadline_left(qmgr->next_misdated) > 0) return;
    int64_t position = clock_date() / CLOCK_SECOND + qmgr->config->maximal_backoff_time + DATE_SLACK;
    char queue_id[QUEUE_ID_SIZE] = "";
    struct str sites;
    while (qmgr->schedule && !qmgr->index_broken && qmgr_has_room(qmgr, true) &&
           schedule_next(qmgr->schedule, &position, queue_id, &sites)) {
        if (deferred_is_for_release(sites)) {
            qmgr->next_misdated = deadline_in(LOOK_SECONDS * 1000);
            continue;
        }
        if (map_get(qmgr->active, str_from(queue_id))) continue;
        log_message_warning(str_from(queue_id),
                            "the date of its next attempt is further off than any wait, so the clock was wrong then; "
                            "it is tried now");
        char kept[QUEUE_ID_SIZE];
        memcpy(kept, queue_id, sizeof kept);
        message_activate(qmgr, str_from(kept), -1, true, true, true);
    }
}

void deferred_task(void *argument) {
    struct qmgr *qmgr = argument;
    while (!qmgr->draining && !task_is_cancelled(task_current())) {
        deferred_repair(qmgr);
        run_flush(qmgr);
        if (!qmgr->flush_all) run_due(qmgr);
        run_misdated(qmgr);
        /* Taking up may have waited, and the successor have the index meanwhile. */
        deferred_commit(qmgr);
        int64_t wait = qmgr->flush_all || qmgr->flush_waits || qmgr->index_broken
                           ? 1000
                           : (qmgr->due_at - clock_date() / CLOCK_SECOND) * 1000;
        enum wait_result ignored = task_queue_wait(&qmgr->deferred_wait, deadline_in(wait > 0 ? wait : 1));
        (void)ignored; /* due, or woken: look again */
    }
}
