/* hash_queue: costly computations of passwords, a bounded number at a time on helper threads.
 *
 * Who is trusted more goes first (failures_rank), and among equals who has fewer waiting from the same
 * address; one place is kept for those with rank 0 and 1, so that a flood of guesses does not even make
 * them wait for the end of one. When too many wait, the least trusted is sent away. */
#ifndef TERN_AUTH_HASH_QUEUE_H
#define TERN_AUTH_HASH_QUEUE_H

#include "clock.h"
#include "compiler.h"
#include "str.h"

struct hash_queue;

/* workers: computations at a time; limit: how many may wait. For as long as the process lives. */
struct hash_queue *hash_queue_create(unsigned workers, size_t limit);
/* Runs function(argument) on a helper thread when its turn comes; false if it did not run: too many wait, the
 * deadline has passed, or the task was cancelled. Task context. */
MUST_USE bool hash_queue_run(struct hash_queue *queue, unsigned rank, struct str address, deadline until,
                             void (*function)(void *argument), void *argument);
/* How many wait for their turn. */
size_t hash_queue_waiting(const struct hash_queue *queue);

#endif
