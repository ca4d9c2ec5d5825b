/* Removing queue files: many unlinks in one call on a helper thread, so that a
 * busy disk holds up no delivery. Not synced: a file that comes back after a power
 * cut means a second delivery at worst (promise 1), and local looks for the target first.
 *
 * The file stays open, and so locked, until its name is gone: a successor that finds the
 * name meanwhile must not take it for mail. A file that cannot be removed is tried again,
 * for as long as this process lives. A name that a move from new/ to cur/ could not take away
 * goes first: alone it would be taken for mail that has just come. */
#include "qmgr.h"
#include "log.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE 5000 /* ms between attempts at files that cannot be removed */

struct removal {
    struct removal *next;
    int folder, file, error_number;
    int former; /* the folder in which it may have a second name, or -1 */
    bool told;
    char queue_id[QUEUE_ID_SIZE];
};

static int unlink_name(int folder, const char *name) {
    return unlinkat(folder, name, 0) < 0 && errno != ENOENT ? errno : 0;
}

static bool has_second_name(const struct removal *removal) {
    struct stat status;
    return removal->former >= 0 && removal->file >= 0 && (fstat(removal->file, &status) < 0 || status.st_nlink > 1);
}

static void unlink_all(void *argument) {
    for (struct removal *removal = argument; removal; removal = removal->next) {
        removal->error_number = has_second_name(removal) ? unlink_name(removal->former, removal->queue_id) : 0;
        if (removal->error_number == 0) removal->error_number = unlink_name(removal->folder, removal->queue_id);
    }
}

/* An index entry goes after its file: of an entry without a file nothing comes, a file without an entry would
 * never be looked at. */
static void removal_end(struct qmgr *qmgr, struct removal *removal) {
    if (removal->error_number == 0 && removal->folder == qmgr->cur) deferred_forget(qmgr, str_from(removal->queue_id));
    map_remove(qmgr->leaving, str_from(removal->queue_id));
    if (removal->file >= 0) close(removal->file);
    MEMORY_FREE(removal);
}

/* What must be tried again waits apart, so that it holds nobody else up. */
static void end_batch(struct qmgr *qmgr, struct removal *batch) {
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
        removal->told = true;
        removal->next = qmgr->stuck_removals;
        qmgr->stuck_removals = removal;
        qmgr->stuck_until = deadline_in(PAUSE);
    }
}

static void removing_task(void *argument) {
    struct qmgr *qmgr = argument;
    while (qmgr->removals) {
        struct removal *batch = qmgr->removals;
        qmgr->removals = NULL;
        task_run_blocking(unlink_all, batch);
        end_batch(qmgr, batch);
    }
    qmgr->removing = false;
}

void queue_remove_again(struct qmgr *qmgr) {
    if (qmgr->stuck_removals && (deadline_left(qmgr->stuck_until) == 0 || qmgr->draining)) {
        struct removal *last = qmgr->stuck_removals;
        while (last->next)
            last = last->next;
        last->next = qmgr->removals;
        qmgr->removals = qmgr->stuck_removals;
        qmgr->stuck_removals = NULL;
    }
    if (qmgr->removals && !qmgr->removing) qmgr->removing = task_start("remove", removing_task, qmgr);
}

void queue_remove(struct qmgr *qmgr, int folder, struct str queue_id, int file) {
    struct removal *removal = MEMORY_NEW(struct removal);
    removal->folder = folder;
    removal->file = file;
    removal->former = folder == qmgr->cur ? qmgr->new : -1;
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
