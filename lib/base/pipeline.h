/* pipeline: jobs that helper threads do ahead of the one that needs what comes of them, in order.
 *
 * The owner fills jobs into a ring, hands them in, and takes them back done, the oldest first. A job that no thread
 * has begun by then the owner does itself, so nothing ever waits for a thread that cannot be had. A job is the owner's
 * until it is handed in and from when it is taken back; between them it is one thread's. So jobs need no locks, as long
 * as they share nothing but what nobody changes. There is no loop in it: the owner stands still while a thread finishes
 * the job that it wants. */
#ifndef TERN_PIPELINE_H
#define TERN_PIPELINE_H

#include <stddef.h>

#include "compiler.h"

struct pipeline;

struct pipeline_kind {
    size_t job_size, scratch_size; /* octets; both begin zeroed */
    /* Does a job. scratch: of the thread, left as the job before left it. */
    void (*work)(void *job, void *scratch);
    /* Free what they hold; each is called for all of its kind by pipeline_destroy. */
    void (*free_job)(void *job);
    void (*free_scratch)(void *scratch);
};

/* A ring of so many jobs. threads: at most; fewer where there are no more to be had. */
struct pipeline *pipeline_create(const struct pipeline_kind *kind, unsigned threads, unsigned jobs);
/* Waits for what is under way; jobs that nobody has begun stay undone. */
void pipeline_destroy(struct pipeline **pipeline);
/* The job to be filled next, as it was when it was released; NULL: the ring is full. */
void *pipeline_vacant(struct pipeline *pipeline);
/* Hands in what pipeline_vacant gave. */
void pipeline_hand_in(struct pipeline *pipeline);
/* The oldest job that was handed in and is not released yet, done; NULL: there is none. The same until it is released.
 */
void *pipeline_take(struct pipeline *pipeline);
/* The oldest one as it was handed in, perhaps not done, for what the owner wrote there and no thread changes; NULL:
 * there is none. */
const void *pipeline_oldest(const struct pipeline *pipeline);
/* The oldest one, once it was taken, may be filled again. */
void pipeline_release(struct pipeline *pipeline);
/* Jobs that were handed in and are not released. */
unsigned pipeline_count(const struct pipeline *pipeline);

#endif
