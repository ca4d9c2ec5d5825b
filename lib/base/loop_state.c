/* What tasks, descriptors and helpers need of the loop that runs them. See loop_internal.h. */
#include <sys/epoll.h>

#include "loop_internal.h"

/* The one thread-local pointer of the house style. */
static _Thread_local struct loop *this_loop;

struct loop *loop_current(void) {
    return this_loop;
}

void loop_set_current(struct loop *loop) {
    this_loop = loop;
}

void loop_want_sweep(struct loop *loop) {
    if (ev_is_active(&loop->sweep_timer)) return;
    ev_timer_set(&loop->sweep_timer, loop->sweep_period, loop->sweep_period);
    ev_timer_start(loop->ev, &loop->sweep_timer);
}

void loop_unregister(struct loop *loop, int descriptor) {
    struct epoll_event event = {0};

    if (loop->poll_descriptor >= 0) epoll_ctl(loop->poll_descriptor, EPOLL_CTL_DEL, descriptor, &event);
}
