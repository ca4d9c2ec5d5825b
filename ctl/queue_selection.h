/* queue_selection: which messages of a listing an operator means: patterns for
 * addresses, age, queues. */
#ifndef TERN_QUEUE_SELECTION_H
#define TERN_QUEUE_SELECTION_H

#include "ipc.h"

struct queue_selection {
    const char *sender;     /* as a shell's file name pattern, any case; NULL: any. The null sender is <> */
    const char *recipient;  /* one of the recipients matches */
    int64_t arrived_before; /* seconds; 0: any age */
    struct str queues;      /* "deferred hold"; empty: any */
};

/* Is there anything that a plain list of IDs does not say. */
bool queue_selection_is_set(const struct queue_selection *selection);
/* Does a row fit. Pure. */
bool queue_selection_fits(const struct queue_selection *selection, const struct ipc_queued *row);

#endif
