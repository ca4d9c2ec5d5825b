/* Delivery ahead of the queue: a message that cleanup has in memory and would rather not write to
 * the queue. It is scheduled like any other; who decides is here, within direct_delivery_milliseconds:
 *
 *   running    -> over       every recipient is done and nothing is owed: cleanup may say "safe"
 *   running    -> storing    the time is over, or something has to wait: cleanup writes the queue file, while
 *                            deliveries under way go on
 *   storing    -> (adopted)  the file is in new/: what has happened is noted in it, and it is an ordinary message
 *   running,   -> abandoned  the connection to cleanup has ended, or the file could not be written: nothing was
 *   storing                  promised; what is under way ends, and the rest is left. Should the file be in new/
 *                            all the same, it is found there, and its targets are looked for before writing
 *
 * A kill of either process at any of these leaves nothing promised that is not in a target or in new/. */
#include "qmgr.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct direct {
    enum { RUNNING, OVER, STORING, ABANDONED, ADOPTED } state;
    struct ipc_peer *peer; /* held until the file is there, or is not to come */
    uint32_t envelope_crc; /* of the file that is waited for */
    bool each_recipient;   /* who fails is told by the client */
    struct buf refused;    /* rows of those */
    uint32_t refused_count;
    bool finished;         /* everything that was begun is answered */
    bool watched;          /* control_direct has it, and frees it if it is loose by then */
    bool loose;            /* its message has let go of it */
    struct task_queue change;
};

/* What a connection to a cleanup has under way: found by its peer. */
struct peer_state {
    struct qmgr *qmgr;
    struct ipc_peer *peer;
};

static bool is_done(const struct message *message) {
    if (message_owes_report(message)) return false;
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        if (message->envelope.recipients[i].state != QUEUE_RECIPIENT_DONE) return false;
    return true;
}

/* Whether its agent has said that it has to wait: RFC 2033 leaves it to the client then. Not so where the agent itself
 * was in trouble (4.3.0), which may have delivered: the next attempt from the queue finds that, another message would
 * be a second copy. */
static bool is_put_off(const struct queue_recipient *recipient) {
    return recipient->state == QUEUE_RECIPIENT_WAITING && recipient->last_attempt != 0 &&
           str_starts(recipient->status, STR("4.")) && !str_equal(recipient->status, STR("4.3.0"));
}

/* What an LMTP client is told of each recipient itself needs neither notice nor queue; that is so if every recipient
 * has an answer. False: notices and attempts are owed as ever. */
static bool refuse_each(struct message *message) {
    struct direct *direct = message->direct;
    if (!direct->each_recipient || message->perhaps_delivered || message_owes_report(message)) return false;
    for (size_t i = 0; i < message->envelope.recipient_count; i++) {
        const struct queue_recipient *recipient = &message->envelope.recipients[i];
        if (recipient->state == QUEUE_RECIPIENT_DONE && recipient->action != DELIVERY_FAILED) continue;
        if (recipient->state != QUEUE_RECIPIENT_FAILED && recipient->state != QUEUE_RECIPIENT_DONE &&
            !is_put_off(recipient))
            return false;
        struct ipc_refused row = {.index = i, .status = recipient->status, .text = str_slice(recipient->reason, 0, 300)};
        if (!ipc_list_add(IPC_ROW_REFUSED, &row, &direct->refused, &direct->refused_count)) return false;
    }
    for (size_t i = 0; i < message->envelope.recipient_count; i++)
        message->envelope.recipients[i].state = QUEUE_RECIPIENT_DONE;
    return true;
}

static void enter(struct direct *direct, unsigned state) {
    direct->state = state;
    task_queue_wake_all(&direct->change);
}

static void release_peer(struct direct *direct) {
    if (direct->peer) ipc_peer_unhold(direct->peer);
    direct->peer = NULL;
}

static void free_direct(struct direct **direct) {
    buf_free(&(*direct)->refused);
    MEMORY_FREE(*direct);
}

/* Takes the record from its message. */
static void detach(struct message *message, unsigned state) {
    struct direct *direct = message->direct;
    message->direct = NULL;
    release_peer(direct);
    direct->loose = true;
    enter(direct, state);
    if (!direct->watched) free_direct(&direct);
}

/* ---- the end of what was begun */

/* Everything that was begun for a message is answered. */
static void direct_finish(struct message *message) {
    struct direct *direct = message->direct;
    direct->finished = true;
    switch (direct->state) {
    case RUNNING:
        enter(direct, refuse_each(message) || is_done(message) ? OVER : STORING);
        break;
    case ABANDONED:
        incoming_again(message->qmgr, 1000); /* if its file is there all the same */
        detach(message, ABANDONED);
        message_free(&message);
        break;
    case OVER:
    case STORING:
    case ADOPTED:
        break; /* waits for its file */
    }
}

static void abandon(struct message *message) {
    struct direct *direct = message->direct;
    release_peer(direct);
    enter(direct, ABANDONED);
    if (direct->finished)
        direct_finish(message);
    else
        message_cancel_jobs(message);
}

/* The connection to a cleanup has ended: what it was to store is not promised to anybody. */
static void direct_peer_gone(void *state) {
    struct peer_state *gone = state;
    /* Abandoning may free the message and so change the map: begin again after each. */
    for (bool again = true; again;) {
        again = false;
        size_t at = 0;
        struct str name;
        void *value;
        while (!again && map_next(gone->qmgr->active, &at, &name, &value)) {
            struct message *message = value;
            if (!message->direct || message->direct->peer != gone->peer) continue;
            again = true;
            abandon(message);
        }
    }
    MEMORY_FREE(gone);
}

void control_forget(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_qmgr_forget *forget = request->message;
    struct message *message = map_get(qmgr->active, forget->queue_id);
    if (!message || !message->direct || message->direct->peer != request->peer) return;
    log_message(forget->queue_id, "not accepted: delivered no further");
    abandon(message);
}

/* ---- the beginning */

static bool take_envelope(struct message *message, const struct ipc_qmgr_direct *request, struct failure *failure) {
    struct str packed;
    size_t used;
    if (!arena_copy(message->arena, request->envelope, &packed)) return failure_set(failure, "out of memory");
    return queue_envelope_parse(packed, STR_EMPTY, message->arena, &message->envelope, &used, failure) &&
           (str_equal(message->envelope.queue_id, request->queue_id) ||
            failure_set(failure, "the envelope is another message's"));
}

static void watch_peer(struct ipc_request *request, struct qmgr *qmgr) {
    if (ipc_peer_state(request->peer)) return;
    struct peer_state *state = MEMORY_NEW(struct peer_state);
    *state = (struct peer_state){qmgr, request->peer};
    ipc_peer_set_state(request->peer, state, direct_peer_gone);
}

static struct message *take_up(struct ipc_request *request, struct qmgr *qmgr, struct failure *failure) {
    const struct ipc_qmgr_direct *asked = request->message;
    if (!queue_id_is_valid(asked->queue_id) || map_get(qmgr->active, asked->queue_id) ||
        map_get(qmgr->leaving, asked->queue_id) || !qmgr_has_room_for_small(qmgr)) {
        failure_set(failure, "not now");
        return NULL;
    }
    struct message *message = message_create(qmgr, asked->queue_id);
    bool good = take_envelope(message, asked, failure);
    if (!good || !qmgr_has_room_for(qmgr, message->envelope.recipient_count)) {
        if (good) failure_set(failure, "not now");
        message->envelope.recipient_count = 0;
        message_free(&message);
        return NULL;
    }
    qmgr->active_recipients += message->envelope.recipient_count;
    message->shared = request->descriptor;
    request->descriptor = -1;
    message->content_offset = 0;
    message->header.content_length = asked->content_length;
    message->header.content_lines = asked->content_lines;
    message->direct = MEMORY_NEW(struct direct);
    message->direct_finish = direct_finish;
    message->direct->each_recipient = asked->each_recipient;
    message->direct->refused = buf_make(30000);
    message->direct->peer = request->peer;
    message->direct->envelope_crc = crc32c(0, asked->envelope.data, asked->envelope.length);
    message->direct->watched = true;
    watch_peer(request, qmgr);
    ipc_peer_hold(request->peer);
    return message;
}

/* Where the last deliveries took longer, or others wait, the client would wait in vain. */
static bool is_worth_waiting(const struct message *message) {
    double limit = (double)message->qmgr->config->direct_delivery_milliseconds;
    for (const struct job *job = message->jobs; job; job = job->sibling)
        if (job->line && destination_outlook(job->destination) > limit) return false;
    return true;
}

void control_direct(struct ipc_request *request, struct qmgr *qmgr) {
    struct failure failure = {0};
    struct message *message = take_up(request, qmgr, &failure);
    if (!message) {
        ipc_answer_failed(request, 451, "4.3.0", "%s", failure.text);
        return;
    }
    struct direct *direct = message->direct;
    deadline until = deadline_in(qmgr->config->direct_delivery_milliseconds);
    message_begin(message);
    /* While it is running the message is there. */
    if (direct->state == RUNNING && !is_worth_waiting(message)) until = clock_monotonic();
    enum wait_result waited = WAIT_READY;
    while (direct->state == RUNNING && waited == WAIT_READY) waited = task_queue_wait(&direct->change, until);
    if (direct->state == RUNNING) enter(direct, STORING);
    bool over = direct->state == OVER;
    struct buf refused = {0};
    struct ipc_qmgr_direct_ended answer = {.store = !over};
    if (over) {
        answer.refused.count = direct->refused_count;
        buf_append(&refused, buf_str(&direct->refused));
        answer.refused.packed = buf_str(&refused);
    }
    direct->watched = false;
    if (over) {
        log_message(str_from(message->queue_id), "removed");
        detach(message, OVER);
        message_free(&message);
    } else if (direct->loose) {
        free_direct(&direct);
    }
    ipc_answer(request, IPC_QMGR_DIRECT_ENDED, &answer, -1);
    buf_free(&refused);
}

/* ---- the file */

/* False: it cannot be read now, or is no queue file. */
static bool read_header(const struct ipc_request *request, struct queue_header *header) {
    const struct ipc_qmgr_new *notice = request->message;
    char bytes[QUEUE_HEADER_SIZE];
    if (request->descriptor < 0) return false;
    ssize_t got = pread(request->descriptor, bytes, sizeof bytes, 0);
    if (got < 0) log_message_warning(notice->queue_id, "cannot read the queue file: %s", strerror(errno));
    return got == (ssize_t)sizeof bytes && queue_header_parse(str_make(bytes, sizeof bytes), header, NULL);
}

/* Memory goes, at once or with the last delivery that began with it: one that still waits for a connection to its
 * agent has noted the descriptor. Where no descriptor is to be had it may stay for a while. */
static void share_file(struct message *message) {
    int file = openat(message->qmgr->new, message->queue_id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        log_message_warning(str_from(message->queue_id), "cannot open the queue file: %s; its content stays in memory",
                            strerror(errno));
        return;
    }
    if (message->memory_users > 0)
        message->memory = message->shared;
    else
        close(message->shared);
    message->shared = file;
    message->content_offset = QUEUE_HEADER_SIZE;
}

static void note_what_happened(struct message *message) {
    for (size_t i = 0; i < message->envelope.recipient_count; i++) {
        const struct queue_recipient *recipient = &message->envelope.recipients[i];
        if (recipient->state != QUEUE_RECIPIENT_WAITING || recipient->status.length) message_note(message, i);
    }
}

/* Nothing of it has begun: as if it had just come. */
static void take_up_again(struct message *message) {
    struct qmgr *qmgr = message->qmgr;
    struct incoming come = {.file = message->file, .recovered = message->perhaps_delivered};
    memcpy(come.queue_id, message->queue_id, sizeof come.queue_id);
    message->file = -1;
    message_free(&message);
    incoming_note(qmgr, str_from(come.queue_id), come.file, come.recovered);
}

bool direct_adopt(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_qmgr_new *notice = request->message;
    struct message *message = map_get(qmgr->active, notice->queue_id);
    struct queue_header header;
    if (!message || !message->direct) return false;
    if (!read_header(request, &header)) { /* it is found in new/ again, when what is under way has ended */
        abandon(message);
        return true;
    }
    if (header.envelope_crc != message->direct->envelope_crc) return false;
    bool finished = message->direct->finished;
    message->file = request->descriptor;
    request->descriptor = -1;
    message->header = header;
    message->events_end = QUEUE_HEADER_SIZE + header.content_length + header.envelope_length;
    share_file(message);
    detach(message, ADOPTED);
    note_what_happened(message);
    if (finished && message->crowded_out)
        take_up_again(message);
    else if (finished)
        message_finish(message);
    return true;
}
