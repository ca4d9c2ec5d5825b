/* Shared directory syncs: see directory_sync.h. */
#include "directory_sync.h"
#include <errno.h>
#include <unistd.h>

struct sync_call {
    int directory, error_number;
};

static void call_fsync(void *argument) {
    struct sync_call *call = argument;
    call->error_number = fsync(call->directory) < 0 ? errno : 0;
}

/* One sync, on behalf of all changes made until now. */
static void run_sync(struct directory_sync *sync) {
    struct sync_call call = {.directory = sync->directory};
    uint64_t covers = sync->entered;
    sync->running = true;
    task_run_blocking(call_fsync, &call);
    sync->running = false;
    sync->synced = covers;
    if (call.error_number) {
        sync->failed = covers;
        sync->error_number = call.error_number;
    }
    task_queue_wake_all(&sync->waiting);
}

bool directory_sync_wait(struct directory_sync *sync, int *error_number) {
    uint64_t ticket = ++sync->entered;
    while (sync->synced < ticket) {
        if (!sync->running)
            run_sync(sync);
        else if (task_queue_wait(&sync->waiting, DEADLINE_NEVER) == WAIT_CANCELLED)
            task_yield();
    }
    /* A failed sync covered all tickets up to its own count; a later good one does not heal
     * them (a failed fsync leaves the pages' fate open). */
    if (ticket > sync->failed) return true;
    *error_number = sync->error_number;
    return false;
}
