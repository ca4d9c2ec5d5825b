/* queue_listing: a row of the listing as text, in the two forms that scripts parse.
 * Pure. */
#ifndef TERN_QUEUE_LISTING_H
#define TERN_QUEUE_LISTING_H

#include "buf.h"
#include "ipc.h"

/* The listing under way. */
struct queue_listing {
    bool long_ids; /* which of the two layouts: enable_long_queue_ids */
    uint64_t messages, bytes;
};

/* Appends a message in mailq's form, before the first one the heading. */
void queue_listing_message(struct queue_listing *listing, const struct ipc_queued *row, struct buf *out);
/* Appends the last line. */
void queue_listing_end(const struct queue_listing *listing, struct buf *out);
/* Appends a message as a line of JSON. False when the memory for it is not to be had. */
MUST_USE bool queue_listing_json(const struct ipc_queued *row, struct buf *out);

#endif
