/* Time: a clock for deadlines that never jumps, and one for dates. */
#include "clock.h"
#include <time.h>

deadline clock_monotonic(void) {
    struct timespec now;
    /* Cannot fail with this clock and a valid pointer. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (deadline)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

deadline deadline_in(int64_t milliseconds) {
    deadline now = clock_monotonic();
    deadline when;
    if (milliseconds <= 0) return now;
    return __builtin_add_overflow(now, milliseconds, &when) ? DEADLINE_NEVER : when;
}

int64_t deadline_left(deadline when) {
    if (when == DEADLINE_NEVER) return INT64_MAX;
    deadline now = clock_monotonic();
    return when > now ? when - now : 0;
}

int64_t clock_date(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * CLOCK_SECOND + now.tv_nsec / 1000;
}

int64_t clock_seconds(void) {
    return clock_date() / CLOCK_SECOND;
}
