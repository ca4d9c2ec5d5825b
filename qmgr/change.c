/* Operators' wishes: flush, delete, hold, release, requeue, expire. A message under
 * way is changed when what is in flight has been answered. */
#include "qmgr.h"
#include "log.h"
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#define YIELD_EVERY 8 /* messages changed in one go while others wait: an unlink takes up to half a millisecond */

/* ---- flush */

static void wake_dead(struct qmgr *qmgr) {
    size_t at = 0;
    struct str name;
    void *value;
    while (map_next(qmgr->transports, &at, &name, &value)) {
        struct transport *transport = value;
        size_t inner = 0;
        void *entry;
        while (map_next(transport->destinations, &inner, &name, &entry)) {
            struct destination *destination = entry;
            destination->dead_until = 0;
            destination->failed_cohorts = 0;
        }
    }
}

void control_flush(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_qmgr_flush *flush = request->message;
    wake_dead(qmgr);
    if (flush->queue_id.length) {
        if (!qmgr_has_room(qmgr, true)) {
            ipc_answer_failed(request, 451, "4.3.2", "as many messages as may be are active already: ask again later");
            return;
        }
        if (queue_id_is_valid(flush->queue_id)) message_activate(qmgr, flush->queue_id, -1, true, true, true);
    } else {
        qmgr->flush_all = true;
        qmgr->flush_started = clock_date();
        qmgr->flush_position = 0;
        qmgr->flush_id[0] = '\0';
        qmgr->flush_rounds = 0;
        qmgr->flush_waits = false;
        snprintf(qmgr->flush_site, sizeof qmgr->flush_site, "%.*s", STR_ARGS(flush->site));
        incoming_again(qmgr, 0);
        task_queue_wake_one(&qmgr->deferred_wait);
    }
    struct ipc_done answer = {.empty_ = {}};
    ipc_answer(request, IPC_DONE, &answer, -1);
}

/* ---- a message under way */

void message_cancel_jobs(struct message *message) {
    /* Being opened, resolved or finished: another task has it and obeys the wishes itself. */
    if (message->unfinished == 0) return;
    /* The last one may end the pass and free the message, so the count is kept above zero meanwhile. */
    message->unfinished++;
    for (struct job *job = message->jobs; job; job = job->sibling) {
        if (!job->line) continue;
        size_t rest = job->count - job->taken;
        destination_remove_job(job->destination, job);
        job->taken = job->count;
        message->unfinished -= rest;
    }
    message->unfinished--;
    if (message->unfinished == 0) message_finish(message);
}

void messages_cut_short(struct qmgr *qmgr) {
    /* Cancelling may free the message and so change the map: begin again until nothing has jobs in line. */
    for (bool again = true; again;) {
        again = false;
        size_t at = 0;
        struct str name;
        void *value;
        while (!again && map_next(qmgr->active, &at, &name, &value)) {
            struct message *message = value;
            for (struct job *job = message->jobs; job && !again; job = job->sibling)
                again = job->line != NULL;
            if (!again) continue;
            size_t before = map_count(qmgr->active);
            message_cancel_jobs(message);
            if (map_count(qmgr->active) == before) again = false;
        }
    }
}

static bool change_active(struct message *message, enum queue_change change) {
    if (!message_wish(message, change)) return false;
    message_cancel_jobs(message);
    return true;
}

/* One message, wherever it is; of one under way it notes the wish. False: there is none, or it cannot be changed so. */
static bool change_one(struct qmgr *qmgr, const char *name, enum queue_change change) {
    struct message *message = map_get(qmgr->active, str_from(name));
    return message ? change_active(message, change) : change_at_rest(qmgr, name, change);
}

/* ---- selection */

static bool is_selected(struct str queues, const char *queue) {
    struct str word;
    if (queues.length == 0) return true;
    while (str_next_word(&queues, " ", &word))
        if (str_equal(word, str_from(queue))) return true;
    return false;
}

struct names_call {
    int folder;
    struct buf names;
};

static void call_list_names(void *argument) {
    struct names_call *call = argument;
    int copy = openat(call->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    if (!listing && copy >= 0) close(copy);
    for (struct dirent *entry; listing && (entry = readdir(listing)) != NULL;) {
        if (queue_id_is_valid(str_from(entry->d_name)))
            buf_append_bytes(&call->names, entry->d_name, strlen(entry->d_name) + 1);
    }
    if (listing) closedir(listing);
}

/* The names that stand in a folder now, a NUL after each: what the changes bring in is not met again. */
static struct buf list_names(int folder) {
    struct names_call call = {.folder = folder, .names = buf_make(0)};
    task_run_blocking(call_list_names, &call);
    return call.names;
}

static uint64_t change_folder(struct qmgr *qmgr, int folder, enum queue_change change) {
    struct buf names = list_names(folder);
    uint64_t count = 0, seen = 0;
    for (size_t at = 0; at < names.length && !qmgr->draining; at += strlen(names.data + at) + 1) {
        if (change_one(qmgr, names.data + at, change)) count++;
        if (++seen % YIELD_EVERY == 0) task_yield();
    }
    buf_free(&names);
    return count;
}

struct login_read {
    int folder;
    const char *name;
    struct str login;
    bool is_its;
};

static void read_login(void *argument) {
    struct login_read *call = argument;
    struct arena *arena = arena_create(0);
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t end;
    int file = openat(call->folder, call->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    call->is_its = file >= 0 && queue_file_read(file, arena, &header, &envelope, &end, NULL) &&
                   str_equal_nocase(envelope.login, call->login);
    if (file >= 0) close(file);
    arena_destroy(&arena);
}

uint64_t change_held_of_login(struct qmgr *qmgr, struct str login, enum queue_change change) {
    struct buf names = list_names(qmgr->hold);
    uint64_t count = 0;
    for (size_t at = 0; at < names.length && !qmgr->draining; at += strlen(names.data + at) + 1) {
        struct login_read call = {.folder = qmgr->hold, .name = names.data + at, .login = login};
        task_run_blocking(read_login, &call);
        if (call.is_its && change_one(qmgr, call.name, change)) count++;
    }
    buf_free(&names);
    return count;
}

static uint64_t change_all(struct qmgr *qmgr, enum queue_change change, struct str queues) {
    uint64_t count = 0;
    bool from_rest = change != QUEUE_RELEASE;
    if (from_rest && (is_selected(queues, "incoming") || is_selected(queues, "active")))
        count += change_folder(qmgr, qmgr->new, change);
    if (from_rest && is_selected(queues, "deferred")) count += change_folder(qmgr, qmgr->cur, change);
    if (change != QUEUE_HOLD && is_selected(queues, "hold")) count += change_folder(qmgr, qmgr->hold, change);
    return count;
}

void control_change(struct ipc_request *request, struct qmgr *qmgr) {
    const struct ipc_qmgr_change *wish = request->message;
    char name[QUEUE_ID_SIZE];
    enum queue_change change = (enum queue_change)wish->change;
    if (wish->change > QUEUE_EXPIRE_RELEASE) {
        ipc_answer_failed(request, 550, "5.5.4", "no such change");
        return;
    }
    struct ipc_qmgr_changed answer = {.count = 0};
    snprintf(name, sizeof name, "%.*s", STR_ARGS(wish->queue_id));
    if (str_equal(wish->queue_id, STR("ALL")))
        answer.count = change_all(qmgr, change, wish->queue);
    else if (queue_id_is_valid(wish->queue_id))
        answer.count = change_one(qmgr, name, change);
    ipc_answer(request, IPC_QMGR_CHANGED, &answer, -1);
}
