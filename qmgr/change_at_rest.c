/* Operators' wishes for a message at rest: deleted, moved, expired, requeued where it stands. */
#include "qmgr.h"
#include "log.h"
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static bool append_expiry(int folder, const char *name) {
    int file = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return false;
    struct arena *arena = arena_create(0);
    struct buf bytes = buf_make(0);
    struct queue_header header;
    struct queue_envelope envelope;
    uint64_t end;
    struct queue_event event = {.type = EVENT_EXPIRE, .when = clock_date() / CLOCK_SECOND};
    bool good = queue_file_read(file, arena, &header, &envelope, &end, NULL) && queue_event_pack(&event, &bytes) &&
                pwrite(file, bytes.data, bytes.length, (off_t)end) == (ssize_t)bytes.length;
    buf_free(&bytes);
    arena_destroy(&arena);
    close(file);
    return good;
}

/* Others run while it moves, and must leave it alone. */
static bool move(struct qmgr *qmgr, int from, int to, const char *name) {
    int error_number = 0;
    if (from == to) return true;
    map_put(qmgr->leaving, str_from(name), qmgr);
    bool good = queue_move(qmgr, from, to, name, &error_number);
    map_remove(qmgr->leaving, str_from(name));
    if (!good) log_message_warning(str_from(name), "cannot be moved: %s", strerror(error_number));
    return good;
}

/* To new/, where it is taken up as if it had just come. */
static bool release(struct qmgr *qmgr, int folder, const char *name) {
    if (!move(qmgr, folder, qmgr->new, name)) return false;
    deferred_forget(qmgr, str_from(name));
    incoming_note(qmgr, str_from(name), -1, true);
    return true;
}

struct unlink_call {
    int folder;
    const char *name;
    bool good;
};

static void call_unlink(void *argument) {
    struct unlink_call *call = argument;
    call->good = unlinkat(call->folder, call->name, 0) == 0;
}

/* On a helper thread: a busy disk may take its time, and many thousand may be deleted in a row. */
static bool delete(struct qmgr *qmgr, int folder, const char *name) {
    struct unlink_call call = {.folder = folder, .name = name};
    map_put(qmgr->leaving, str_from(name), qmgr);
    task_run_blocking(call_unlink, &call);
    map_remove(qmgr->leaving, str_from(name));
    if (call.good) deferred_forget(qmgr, str_from(name));
    return call.good;
}

static bool change_resting(struct qmgr *qmgr, int folder, const char *name, enum queue_change change) {
    struct str queue_id = str_from(name);
    switch (change) {
    case QUEUE_DELETE:
        if (!delete(qmgr, folder, name)) return false;
        log_message(queue_id, "removed");
        return true;
    case QUEUE_HOLD:
        if (folder == qmgr->hold || !move(qmgr, folder, qmgr->hold, name)) return false;
        deferred_forget(qmgr, queue_id);
        log_message(queue_id, "placed on hold");
        return true;
    case QUEUE_RELEASE:
        if (folder != qmgr->hold || !release(qmgr, folder, name)) return false;
        log_message(queue_id, "released from hold");
        return true;
    case QUEUE_REQUEUE:
        return queue_requeue(qmgr, folder, queue_id);
    case QUEUE_EXPIRE:
    case QUEUE_EXPIRE_RELEASE:
        if (!append_expiry(folder, name)) return false;
        log_message(queue_id, "expired");
        if (folder == qmgr->hold && change == QUEUE_EXPIRE) return true;
        return release(qmgr, folder, name);
    }
    return false;
}

/* What a crash in the middle of a move left: alone it would be taken for the message, later. */
static void drop_lesser_names(struct qmgr *qmgr, int folder, const char *name) {
    if (folder == qmgr->hold) (void)queue_has_other_name(qmgr, qmgr->cur, name);
    if (folder != qmgr->new) (void)queue_has_other_name(qmgr, qmgr->new, name);
}

/* The lock keeps off a qmgr that drains after a reload: what it is still delivering cannot be changed here. */
static bool change_locked(struct qmgr *qmgr, int folder, const char *name, int file, enum queue_change change) {
    if (flock(file, LOCK_EX | LOCK_NB) == 0) {
        drop_lesser_names(qmgr, folder, name);
        return change_resting(qmgr, folder, name, change);
    }
    log_message_warning(str_from(name),
                        "is still being delivered by a queue manager that is being replaced: not changed");
    return false;
}

bool change_at_rest(struct qmgr *qmgr, const char *name, enum queue_change change) {
    if (map_get(qmgr->leaving, str_from(name))) return false;
    incoming_let_go(qmgr, str_from(name));
    const int folders[] = {qmgr->hold, qmgr->cur, qmgr->new}; /* the one that counts most first */
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        int file = openat(folders[i], name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (file < 0) continue;
        bool changed = change_locked(qmgr, folders[i], name, file, change);
        close(file);
        return changed;
    }
    return false;
}
