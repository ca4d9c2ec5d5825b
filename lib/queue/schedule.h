/* The schedule index: deferred messages by the date of their next attempt.
 *
 * An LMDB environment in queue/schedule/, a cache of what the files in cur/ say:
 * it may be deleted at any time and is then rebuilt. It is not synced (a crash of
 * a process cannot harm it, a power cut can): beside it stands the boot's identity,
 * and it is thrown away when that boot did not end in schedule_close, or when it
 * had not been filled (schedule_filled). One process, one thread. Changes gather in one transaction until
 * schedule_commit, or until it has become long. However large the index is, a bounded part of it is mapped. */
#ifndef TERN_SCHEDULE_H
#define TERN_SCHEDULE_H

#include "compiler.h"
#include "failure.h"
#include "str.h"

struct schedule;

/* Opens (or makes) the index in a folder, relative to the working directory.
 * *empty: it was absent, damaged, stale or never filled: fill it from cur/, then call schedule_filled. */
MUST_USE bool schedule_open(const char *folder, struct str boot_identity, struct schedule **schedule, bool *empty,
                            struct failure *failure);
/* All of cur/ is in it. Until this was said, the next schedule_open begins anew. */
MUST_USE bool schedule_filled(struct schedule *schedule, struct failure *failure);
/* Throws away what is in the index and its files, frees it: after an error; schedule_open begins anew. */
void schedule_discard(struct schedule **schedule);
/* Syncs, marks it clean if it was filled, frees it. */
void schedule_close(struct schedule **schedule);

/* Sets a message's next attempt (seconds); sites: its recipients' domains, space separated, for flushing by site. */
MUST_USE bool schedule_put(struct schedule *schedule, struct str queue_id, int64_t when, struct str sites,
                           struct failure *failure);
MUST_USE bool schedule_remove(struct schedule *schedule, struct str queue_id, struct failure *failure);
/* Writes what has gathered. */
MUST_USE bool schedule_commit(struct schedule *schedule, struct failure *failure);

/* The first message at or after a position in time order. Start with when 0 and an
 * empty ID; to go on, give back what was returned (the same entry is not returned
 * twice). False at the end. Texts are valid until the next call. */
MUST_USE bool schedule_next(struct schedule *schedule, int64_t *when, char queue_id[24], struct str *sites);
/* The date of one message; false if it is not there. */
MUST_USE bool schedule_find(struct schedule *schedule, struct str queue_id, int64_t *when);
size_t schedule_count(struct schedule *schedule);

#endif
