/* What arrives: IDs that cleanup tells of, and those that a scan of new/ finds (at
 * the start, and when more came than are kept in memory). */
#include "qmgr.h"
#include "log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define INCOMING_LIMIT ((size_t)5000)
#define PARKED_LIMIT   ((size_t)100000)
#define SCAN_PAUSE     1000 /* ms from one scan to the next, at least */

static bool is_welcome(struct qmgr *qmgr, struct str queue_id) {
    if (!queue_id_is_valid(queue_id) || map_get(qmgr->active, queue_id) || map_get(qmgr->leaving, queue_id) ||
        map_get(qmgr->incoming_ids, queue_id))
        return false;
    if (qmgr->incoming.count < INCOMING_LIMIT) return true;
    qmgr->incoming_overflow = true;
    return false;
}

static void add(struct qmgr *qmgr, struct incoming_line *line, struct str queue_id, int file, bool recovered) {
    struct incoming *incoming = MEMORY_NEW(struct incoming);
    snprintf(incoming->queue_id, sizeof incoming->queue_id, "%.*s", STR_ARGS(queue_id));
    incoming->file = file;
    incoming->recovered = recovered;
    map_put(qmgr->incoming_ids, queue_id, incoming);
    if (line->last)
        line->last->next = incoming;
    else
        line->first = incoming;
    line->last = incoming;
    line->count++;
}

/* The line must not be empty. */
static struct incoming *take_first(struct qmgr *qmgr, struct incoming_line *line) {
    struct incoming *incoming = line->first;
    line->first = incoming->next;
    if (!line->first) line->last = NULL;
    line->count--;
    map_remove(qmgr->incoming_ids, str_from(incoming->queue_id));
    return incoming;
}

void incoming_note(struct qmgr *qmgr, struct str queue_id, int file, bool recovered) {
    if (!is_welcome(qmgr, queue_id)) {
        if (file >= 0) close(file);
        return;
    }
    add(qmgr, &qmgr->incoming, queue_id, file, recovered);
    task_queue_wake_one(&qmgr->incoming_wait);
}

void incoming_put_by(struct qmgr *qmgr, struct str queue_id, int file, bool recovered) {
    if (qmgr->large.count < INCOMING_LIMIT && !map_get(qmgr->incoming_ids, queue_id)) {
        add(qmgr, &qmgr->large, queue_id, file, recovered);
        return;
    }
    if (file >= 0) close(file);
    incoming_again(qmgr, FAULT_PAUSE);
}

void incoming_park(struct qmgr *qmgr, struct destination *destination, struct str queue_id, bool recovered) {
    if (qmgr->parked_count >= PARKED_LIMIT || map_get(qmgr->incoming_ids, queue_id)) {
        incoming_again(qmgr, FAULT_PAUSE);
        return;
    }
    add(qmgr, &destination->parked, queue_id, -1, recovered);
    qmgr->parked_count++;
}

static struct incoming *take_parked(struct qmgr *qmgr) {
    while (qmgr->ripe) {
        struct destination *destination = qmgr->ripe;
        if (destination->parked.first && !destination_is_crowded(destination)) {
            qmgr->parked_count--;
            return take_first(qmgr, &destination->parked);
        }
        qmgr->ripe = destination->next_ripe;
        destination->ripe = false;
    }
    return NULL;
}

void incoming_let_go(struct qmgr *qmgr, struct str queue_id) {
    struct incoming *incoming = map_get(qmgr->incoming_ids, queue_id);
    if (!incoming || incoming->file < 0) return;
    close(incoming->file);
    incoming->file = -1;
}

void incoming_again(struct qmgr *qmgr, int64_t milliseconds) {
    deadline when = deadline_in(milliseconds);
    if (qmgr->next_scan < when) qmgr->next_scan = when;
    qmgr->incoming_overflow = true;
    task_queue_wake_one(&qmgr->incoming_wait);
}

bool incoming_scan(struct qmgr *qmgr) {
    qmgr->incoming_overflow = false;
    qmgr->next_scan = deadline_in(SCAN_PAUSE);
    int copy = openat(qmgr->new, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    if (!listing) {
        log_warning("cannot read the queue folder new: %s; mail that waits there is looked for again later",
                    strerror(errno));
        incoming_again(qmgr, 10000);
        if (copy >= 0) close(copy);
        return false;
    }
    int reason = 0;
    while (!qmgr->incoming_overflow) {
        errno = 0;
        struct dirent *entry = readdir(listing);
        reason = entry ? 0 : errno;
        if (!entry) break;
        struct str name = str_from(entry->d_name);
        if (name.data[0] == '.') continue;
        if (queue_id_is_valid(name))
            incoming_note(qmgr, name, -1, true);
        else
            log_warning("a foreign file stands in the queue folder new: %.*s; it is left alone", STR_ARGS(name));
    }
    closedir(listing);
    if (reason == 0) return true;
    log_warning("cannot read all of the queue folder new: %s; mail that waits there is looked for again later",
                strerror(reason));
    incoming_again(qmgr, 10000);
    return false;
}

struct incoming *incoming_take(struct qmgr *qmgr) {
    struct incoming *parked = qmgr_has_room(qmgr, false) ? take_parked(qmgr) : NULL;
    if (parked) return parked;
    if (qmgr->large.first && qmgr_has_room(qmgr, false)) return take_first(qmgr, &qmgr->large);
    if (qmgr->incoming.first && qmgr_has_room_for_small(qmgr)) return take_first(qmgr, &qmgr->incoming);
    return NULL;
}

void incoming_let_go_all(struct qmgr *qmgr) {
    struct incoming_line *const lines[] = {&qmgr->incoming, &qmgr->large};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        while (lines[i]->first) {
            struct incoming *incoming = take_first(qmgr, lines[i]);
            if (incoming->file >= 0) close(incoming->file);
            MEMORY_FREE(incoming);
        }
}

void incoming_look(struct qmgr *qmgr) {
    /* What cleanup told a predecessor in its last moment, and what that one still has locked. */
    if (deadline_left(qmgr->starting) > 0) qmgr->incoming_overflow = true;
    /* By the clock and not when nothing else comes, for on a busy day something always does. */
    if (qmgr->incoming_overflow && qmgr->incoming.count < INCOMING_LIMIT / 2 && deadline_left(qmgr->next_scan) == 0)
        incoming_scan(qmgr);
}
