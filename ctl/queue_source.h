/* queue_source: the listing of the queue, row by row, from qmgr in portions or, when it
 * does not run, from the folders. Memory is bounded by one portion or one message. */
#ifndef TERN_QUEUE_SOURCE_H
#define TERN_QUEUE_SOURCE_H

#include "failure.h"
#include "ipc.h"

/* Sees a row, borrowed for the call; false: enough. */
typedef bool queue_visitor(const struct ipc_queued *row, void *context);

/* From qmgr. False with the failure if it does not answer to the end. */
MUST_USE bool queue_source_server(int socket, queue_visitor *visitor, void *context, struct failure *failure);
/* From the folders beneath queue: new, cur, hold. What is no message is passed over and
 * counted in *unread. Messages under way show as incoming or deferred. */
MUST_USE bool queue_source_folders(int queue, queue_visitor *visitor, void *context, uint64_t *unread,
                                   struct failure *failure);

#endif
