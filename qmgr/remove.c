/* Removing queue files: many unlinks in one call on a helper thread, so that a
 * busy disk holds up no delivery. Not synced: a file that comes back after a power
 * cut means a second delivery at worst (promise 1), and local looks for the target first. */
#include "qmgr.h"
#include "log.h"
#include <errno.h>
#include <unistd.h>

struct removal {
    struct removal *next;
    int folder, error_number;
    char queue_id[QUEUE_ID_SIZE];
};

static void unlink_all(void *argument) {
    for (struct removal *removal = argument; removal; removal = removal->next)
        if (unlinkat(removal->folder, removal->queue_id, 0) < 0 && errno != ENOENT) removal->error_number = errno;
}

static void removing_task(void *argument) {
    struct qmgr *qmgr = argument;
    while (qmgr->removals) {
        struct removal *batch = qmgr->removals;
        qmgr->removals = NULL;
        task_run_blocking(unlink_all, batch);
        while (batch) {
            struct removal *next = batch->next;
            map_remove(qmgr->leaving, str_from(batch->queue_id));
            if (batch->error_number)
                log_message_warning(str_from(batch->queue_id), "cannot remove the queue file: %s; it may be delivered again",
                                    strerror(batch->error_number));
            MEMORY_FREE(batch);
            batch = next;
        }
    }
    qmgr->removing = false;
}

void queue_remove(struct qmgr *qmgr, int folder, struct str queue_id) {
    struct removal *removal = MEMORY_NEW(struct removal);
    removal->folder = folder;
    snprintf(removal->queue_id, sizeof removal->queue_id, "%.*s", STR_ARGS(queue_id));
    map_put(qmgr->leaving, queue_id, removal); /* a scan must not take it up again meanwhile */
    removal->next = qmgr->removals;
    qmgr->removals = removal;
    if (!qmgr->removing) qmgr->removing = task_start("remove", removing_task, qmgr);
}
