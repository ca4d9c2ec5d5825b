/* front_still_here: the clients that idle, in the order in which each is to hear that its connection still stands.
 *
 * Thousands wait, and all as long: a queue is enough. Who is due within the same second is told in one go, so that
 * the process sleeps the rest of it. */
#ifndef TERN_FRONT_STILL_HERE_H
#define TERN_FRONT_STILL_HERE_H

#include "clock.h"

struct front_still_here;

/* A client's part; all zero at first. */
struct front_hearer {
    struct front_hearer *next, **link;
    deadline due;
};

/* interval: milliseconds; 0: nobody is told anything. tell: called from the loop; must not suspend, nor end a hearer.
 */
struct front_still_here *front_still_here_create(int64_t interval, void (*tell)(struct front_hearer *hearer));
void front_still_here_free(struct front_still_here **still_here);
/* From now on it is told after each interval, or up to a second later. */
void front_still_here_join(struct front_still_here *still_here, struct front_hearer *hearer);
/* No more. Nothing if it has not joined. */
void front_still_here_leave(struct front_still_here *still_here, struct front_hearer *hearer);

#endif
