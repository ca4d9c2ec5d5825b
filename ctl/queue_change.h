/* queue_change: operators' wishes done to the files, while no queue manager runs. What
 * each does to a message at rest is what qmgr would have done, but that requeueing only
 * moves the file to new/: addresses are not expanded again. */
#ifndef TERN_QUEUE_CHANGE_H
#define TERN_QUEUE_CHANGE_H

#include "delivery.h"
#include "failure.h"
#include "str.h"

struct queue_folders {
    int new, cur, hold; /* directory descriptors */
};

enum queue_change_result {
    QUEUE_CHANGE_DONE,
    QUEUE_CHANGE_NONE,   /* no such message, or the wish has no sense for it */
    QUEUE_CHANGE_FAILED, /* a local fault; the message is as it was */
};

/* Opens the folders beneath queue, a directory; queue_folders_close closes them. */
MUST_USE bool queue_folders_open(int queue, struct queue_folders *folders, struct failure *failure);
/* Syncs what was changed, closes. False if the sync failed: the changes stand, but a
 * power cut may undo them. */
MUST_USE bool queue_folders_close(struct queue_folders *folders);
/* One message, wherever it stands. */
MUST_USE enum queue_change_result queue_change_one(const struct queue_folders *folders, const char *queue_id,
                                                   enum queue_change change, struct failure *failure);
/* A wish for all messages of some queues. */
struct queue_wish {
    enum queue_change change;
    struct str queues; /* "incoming hold"; empty: any */
    /* Gets each message to which it was done. */
    void (*told)(const char *queue_id, enum queue_change change, void *context);
    void *context;
};
/* *count: to how many it was done, also where false says that it failed for others, of which the failure has one. */
MUST_USE bool queue_change_all(const struct queue_folders *folders, const struct queue_wish *wish, uint64_t *count,
                               struct failure *failure);
/* Is a queue among the words; an empty list names all. */
bool queue_is_named(struct str queues, struct str queue);

#endif
