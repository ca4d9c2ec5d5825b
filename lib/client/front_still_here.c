/* See front_still_here.h. */
#include "front_still_here.h"

#include "memory.h"
#include "task.h"

#define TOGETHER 1000 /* ms */

struct front_still_here {
    int64_t interval;
    void (*tell)(struct front_hearer *hearer);
    struct front_hearer *first, **end;
    struct loop_timer *timer; /* while somebody waits; it may come too early */
};

struct front_still_here *front_still_here_create(int64_t interval, void (*tell)(struct front_hearer *hearer)) {
    struct front_still_here *made = MEMORY_NEW(struct front_still_here);
    *made = (struct front_still_here){.interval = interval, .tell = tell, .end = &made->first};
    return made;
}

void front_still_here_free(struct front_still_here **still_here) {
    if (!*still_here) return;
    loop_timer_stop(&(*still_here)->timer);
    MEMORY_FREE(*still_here);
}

static void append(struct front_still_here *still_here, struct front_hearer *hearer) {
    hearer->due = (deadline_in(still_here->interval) + TOGETHER - 1) / TOGETHER * TOGETHER;
    hearer->next = NULL;
    hearer->link = still_here->end;
    *hearer->link = hearer;
    still_here->end = &hearer->next;
}

static void take_out(struct front_still_here *still_here, struct front_hearer *hearer) {
    *hearer->link = hearer->next;
    if (hearer->next)
        hearer->next->link = hearer->link;
    else
        still_here->end = hearer->link;
    hearer->link = NULL;
}

static void time_came(void *argument);

static void wait_for_first(struct front_still_here *still_here) {
    loop_timer_stop(&still_here->timer);
    if (still_here->first)
        still_here->timer = loop_timer_start(deadline_left(still_here->first->due), 0, time_came, still_here);
}

static void time_came(void *argument) {
    struct front_still_here *still_here = argument;
    deadline now = clock_monotonic();
    while (still_here->first && still_here->first->due <= now) {
        struct front_hearer *hearer = still_here->first;
        take_out(still_here, hearer);
        append(still_here, hearer); /* later than now */
        still_here->tell(hearer);
    }
    wait_for_first(still_here);
}

void front_still_here_join(struct front_still_here *still_here, struct front_hearer *hearer) {
    if (still_here->interval <= 0) return;
    append(still_here, hearer);
    if (!still_here->timer) wait_for_first(still_here);
}

void front_still_here_leave(struct front_still_here *still_here, struct front_hearer *hearer) {
    if (hearer->link) take_out(still_here, hearer);
}
