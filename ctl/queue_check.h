/* queue_check: looks through the queue's folders and sets right what a crash or a hand
 * has left. For ternsuper -s and -p, and for tern check. */
#ifndef TERN_QUEUE_CHECK_H
#define TERN_QUEUE_CHECK_H

#include "failure.h"
#include "compiler.h"

struct queue_check_wishes {
    bool structure;      /* folders, foreign files, every message's header and envelope */
    bool content;        /* with structure: every message's content sum too; reads all of the queue */
    bool purge;          /* what was left in tmp/ */
    bool repair;         /* make folders, set damaged files aside, remove leftovers; else only tell.
                            With structure this wants a queue that nobody else uses */
    int64_t stale_after; /* seconds after which a file in tmp/ counts as left; 0: a day */
};

struct queue_check_counts {
    uint64_t messages;     /* looked at and whole */
    uint64_t damaged;      /* set aside in corrupt/, if repairing */
    uint64_t leftovers;    /* in tmp/, removed if repairing */
    uint64_t foreign;      /* files that are none of ours; they stay */
    uint64_t folders_made; /* missing; made if repairing */
};

/* Told of each thing found, one line. */
typedef void queue_check_teller(const char *text, void *context);

/* Checks the folders beneath queue (a directory descriptor of queue_directory/queue).
 * False with the failure for a local fault (counts are then what was seen so far); what
 * is found wrong with the queue itself is told and counted. Blocks. Run it as the owner
 * of the queue (queue_tool_become_owner). */
MUST_USE bool queue_check(int queue, const struct queue_check_wishes *wishes, struct queue_check_counts *counts,
                          queue_check_teller *teller, void *context, struct failure *failure);

#endif
