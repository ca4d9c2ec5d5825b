/* Removing queue files: many unlinks in one call on a helper thread, so that a
 * busy disk holds up no delivery. Not synced: a file that comes back after a power
 * cut means a second delivery at worst (promise 1), and local looks for the target first.
 *
 * The file stays open, and so locked, until its name is gone: a successor that finds the
 * name meanwhile must not take it for mail. A file that cannot be removed is tried again,
 * for as long as this process lives. */
#include "qmgr.h"
#include "log.h"
#include <errno.h>
#include <unistd.h>

#define PAUSE 5000 /* ms between attempts at files that cannot be removed */

struct removal {
    struct removal *next;
    int folder, file, error_number;
    bool told;
    char queue_id[QUEUE_ID_SIZE];
};

static void unlink_all(void *argument) {
    for (struct removal *removal = argument; removal; removal = removal->next)
        removal->error_number = unlinkat(removal->folder, removal->queue_id, 0) < 0 && errno != ENOENT ? errno : 0;
}

/* An index entry goes after its file: of an entry without a file nothing comes, a file without an entry would
 * never be looked at. */
static void removal_end(struct qmgr *qmgr, struct removal *removal) {
    if (removal->error_number == 0 && removal->folder == qmgr->cur) deferred_forget(qmgr, str_from(removal->queue_id));
    map_remove(qmgr->leaving, str_from(removal->queue_id));
    if (removal->file >= 0) close(removal->file);
    MEMORY_FREE(removal);
}

/* True if some of the batch must be tried again. */
static bool end_batch(struct qmgr *qmgr, struct removal *batch) {
    bool again = false;
    for (struct removal *removal = batch, *next; removal; removal = next) {
        next = removal->next;
        if (removal->error_number && !removal->told)
            log_message_warning(
                str_from(removal->queue_id),
                "cannot remove the queue file: %s; tried again, and if that fails it may be delivered twice",
                strerror(removal->error_number));
        if (removal->error_number == 0 || qmgr->draining) {
            removal_end(qmgr, removal);
            continue;
        }
        removal->told = again = true;
        removal->next = qmgr->removals;
        qmgr->removals = removal;
    }
    return again;
}

static void removing_task(void *argument) {
    struct qmgr *qmgr = argument;
    while (qmgr->removals) {
        struct removal *batch = qmgr->removals;
        qmgr->removals = NULL;
        task_run_blocking(unlink_all, batch);
        if (end_batch(qmgr, batch) && task_sleep(PAUSE) == WAIT_CANCELLED) break;
    }
    qmgr->removing = false;
}

void queue_remove_again(struct qmgr *qmgr) {
    if (qmgr->removals && !qmgr->removing) qmgr->removing = task_start("remove", removing_task, qmgr);
}

void queue_remove(struct qmgr *qmgr, int folder, struct str queue_id, int file) {
    struct removal *removal = MEMORY_NEW(struct removal);
    removal->folder = folder;
    removal->file = file;
    snprintf(removal->queue_id, sizeof removal->queue_id, "%.*s", STR_ARGS(queue_id));
    map_put(qmgr->leaving, queue_id, removal); /* a scan must not take it up again meanwhile */
    removal->next = qmgr->removals;
    qmgr->removals = removal;
    queue_remove_again(qmgr);
    if (qmgr->removing) return;
    /* No stack to be had: without waiting then, and what fails waits for the next tick. */
    struct removal *batch = qmgr->removals;
    qmgr->removals = NULL;
    unlink_all(batch);
    end_batch(qmgr, batch);
}
