/* Time: one clock for deadlines that never jumps, one for dates.
 *
 * Deadlines are monotonic milliseconds, dates are microseconds since 1970 UTC;
 * the types keep them apart by name. Tests may set an offset on the date. */
#ifndef TERN_CLOCK_H
#define TERN_CLOCK_H

#include "compiler.h"

/* Monotonic milliseconds; NEVER is later than all. */
typedef int64_t deadline;
#define DEADLINE_NEVER INT64_MAX

/* Now, in monotonic milliseconds (vDSO, no system call). */
deadline clock_monotonic(void);
/* A deadline that lies milliseconds from now; negative counts as none left. */
deadline deadline_in(int64_t milliseconds);
/* Milliseconds left, 0 if it has passed. */
int64_t deadline_left(deadline when);

/* Microseconds since the epoch, UTC. */
int64_t clock_date(void);
#define CLOCK_SECOND INT64_C(1000000)
/* The same in whole seconds. */
int64_t clock_seconds(void);

#endif
