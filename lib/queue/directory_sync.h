/* Directory syncs shared by all sessions that wait at that moment: whoever comes
 * while one is running waits for the next, which covers them all. */
#ifndef TERN_DIRECTORY_SYNC_H
#define TERN_DIRECTORY_SYNC_H

#include "task.h"

struct directory_sync {
    int directory;
    bool running;
    uint64_t entered, synced, failed; /* counts of changes: made, known durable, covered by a failed sync */
    int error_number;
    struct task_queue waiting;
};

/* Returns when a sync that began after this call has ended. False if it failed (errno value in *error_number). */
MUST_USE bool directory_sync_wait(struct directory_sync *sync, int *error_number);

#endif
