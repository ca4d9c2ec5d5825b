/* The loop: rounds of ready tasks and libev, watches, timers and signals. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loop_internal.h"
#include "memory.h"

struct loop_watch {
    ev_io io;
    void (*function)(int descriptor, void *argument);
    void *argument;
};

struct loop_timer {
    ev_timer timer;
    void (*function)(void *argument);
    void *argument;
    bool over; /* a timer that was to fire once has */
};

struct loop_signal {
    ev_signal signal;
    struct loop_signal *next;
    void (*function)(int signal_number, void *argument);
    void *argument;
};

enum {
    STACK_SIZE = 256 * 1024,
    STACK_SIZE_SANITIZED = 1024 * 1024,
    IDLE_STACKS = 64,
    BLOCKING_THREADS = 8,
    TRIM_AFTER = 2000,
    SWITCHES_BETWEEN_POLLS = 128, /* ready tasks run at most so often before the kernel is asked */
};

/* ---- timeouts of tasks, and the sweep */

static double seconds(int64_t milliseconds) {
    return (double)(milliseconds < 0 ? 0 : milliseconds) / 1000.0;
}

void loop_arm_timeouts(struct loop *loop) {
    deadline earliest = timeout_heap_earliest(&loop->timeouts);

    if (earliest >= loop->timeout_set) return;
    ev_now_update(loop->ev);
    ev_timer_stop(loop->ev, &loop->timeout_timer);
    ev_timer_set(&loop->timeout_timer, seconds(deadline_left(earliest)), 0.);
    ev_timer_start(loop->ev, &loop->timeout_timer);
    loop->timeout_set = earliest;
}

static void timeouts_came(struct ev_loop *ev, ev_timer *timer, int events) {
    struct loop *loop = ev_userdata(ev);
    deadline now = clock_monotonic();
    struct task *task;

    (void)timer;
    (void)events;
    loop->timeout_set = DEADLINE_NEVER;
    while ((task = timeout_heap_pop(&loop->timeouts, now)) != NULL) task_timeout_came(loop, task, now);
    if (loop->timeouts.count) {
        /* Both clocks are cut to their own units: never set it for "at once" again and again. */
        deadline earliest = timeout_heap_earliest(&loop->timeouts);
        ev_timer_set(&loop->timeout_timer, seconds(earliest - now) + 0.0005, 0.);
        ev_timer_start(ev, &loop->timeout_timer);
        loop->timeout_set = earliest;
    }
}

/* Sweeps come at half of trim_after: what began before the last two has waited
 * at least trim_after, and at most half as long again. */
static void sweep_came(struct ev_loop *ev, ev_timer *timer, int events) {
    struct loop *loop = ev_userdata(ev);
    bool more;

    (void)events;
    loop->sweep++;
    more = task_trim_resting(loop, loop->sweep - 2);
    if (stack_pool_trim(&loop->stacks, loop->sweep - 2)) more = true;
    if (!more) ev_timer_stop(ev, timer);
}

/* ---- life */

static struct ev_loop *open_ev(void) {
    unsigned flags = EVFLAG_NOENV;
    struct ev_loop *ev = NULL;

#if EV_VERSION_MAJOR > 4 || (EV_VERSION_MAJOR == 4 && EV_VERSION_MINOR >= 33)
    flags |= EVFLAG_NOTIMERFD;
#endif
    if (ev_supported_backends() & EVBACKEND_EPOLL) ev = ev_loop_new(flags | EVBACKEND_EPOLL);
    return ev ? ev : ev_loop_new(flags | EVFLAG_AUTO);
}

/* libev does not say which descriptor its epoll set is. It took the lowest free
 * one; that is checked, since only an epoll set answers ENOENT here. */
static int find_poll_descriptor(struct ev_loop *ev, int candidate, int other) {
    struct epoll_event event = {0};

    if (candidate < 0 || ev_backend(ev) != EVBACKEND_EPOLL) return -1;
    if (epoll_ctl(candidate, EPOLL_CTL_DEL, other, &event) == 0 || errno != ENOENT) return -1;
    return candidate;
}

bool loop_create(const struct loop_options *options, struct failure *failure) {
    static const struct loop_options defaults;
    struct loop *loop = MEMORY_NEW(struct loop);
    int64_t trim_after;
    int pair[2];

    if (!options) options = &defaults;
    if (pipe2(pair, O_CLOEXEC) != 0) {
        MEMORY_FREE(loop);
        return failure_set_errno(failure, errno, "event loop");
    }
    close(pair[1]); /* now the lowest free one */
    loop->ev = open_ev();
    if (loop->ev) loop->poll_descriptor = find_poll_descriptor(loop->ev, pair[1], pair[0]);
    close(pair[0]);
    if (!loop->ev) {
        MEMORY_FREE(loop);
        return failure_set_errno(failure, errno, "event loop");
    }
    ev_ref(loop->ev); /* loop_run decides when nothing is left to do */
    ev_set_userdata(loop->ev, loop);
#ifdef TERN_SANITIZERS
    stack_pool_init(&loop->stacks, options->stack_size ? options->stack_size : STACK_SIZE_SANITIZED,
                    options->idle_stacks ? options->idle_stacks : IDLE_STACKS);
#else
    stack_pool_init(&loop->stacks, options->stack_size ? options->stack_size : STACK_SIZE,
                    options->idle_stacks ? options->idle_stacks : IDLE_STACKS);
#endif
    loop->blocking_threads = options->blocking_threads ? options->blocking_threads : BLOCKING_THREADS;
    trim_after = options->trim_after > 0 ? options->trim_after : TRIM_AFTER;
    loop->sweep_period = seconds(trim_after) / 2;
    ev_timer_init(&loop->timeout_timer, timeouts_came, 0., 0.);
    ev_set_priority(&loop->timeout_timer, EV_MINPRI); /* what came in time counts before the deadline */
    ev_timer_init(&loop->sweep_timer, sweep_came, loop->sweep_period, loop->sweep_period);
    loop->timeout_set = DEADLINE_NEVER;
    loop_set_current(loop);
    return true;
}

static void run_ready(struct loop *loop) {
    for (int i = 0; i < SWITCHES_BETWEEN_POLLS && loop->ready_first && !loop->stopping; i++)
        task_run(loop, task_pop_ready(loop));
}

void loop_run(void) {
    struct loop *loop = loop_current();

    while (!loop->stopping) {
        run_ready(loop);
        if (loop->stopping || (!loop->task_count && !loop->watch_count)) break;
        loop_arm_timeouts(loop);
        ev_run(loop->ev, loop->ready_first ? EVRUN_NOWAIT : EVRUN_ONCE);
    }
    loop->stopping = false;
}

void loop_stop(void) {
    loop_current()->stopping = true;
}

size_t loop_task_count(void) {
    return loop_current() ? loop_current()->task_count : 0;
}

void loop_destroy(void) {
    struct loop *loop = loop_current();

    if (!loop) return;
    loop->draining = true;
    task_cancel_all(loop);
    while (loop->task_count) {
        run_ready(loop);
        loop->stopping = false;
        if (!loop->task_count) break;
        loop_arm_timeouts(loop);
        ev_run(loop->ev, loop->ready_first ? EVRUN_NOWAIT : EVRUN_ONCE);
    }
    blocking_pool_destroy(loop);
    while (loop->signals) {
        struct loop_signal *next = loop->signals->next;
        ev_signal_stop(loop->ev, &loop->signals->signal);
        MEMORY_FREE(loop->signals);
        loop->signals = next;
    }
    descriptors_clear(loop);
    ev_timer_stop(loop->ev, &loop->timeout_timer);
    ev_timer_stop(loop->ev, &loop->sweep_timer);
    ev_loop_destroy(loop->ev);
    timeout_heap_free(&loop->timeouts);
    stack_pool_clear(&loop->stacks);
    loop_set_current(NULL);
    MEMORY_FREE(loop);
}

void loop_abandon(void) {
    if (loop_current() && loop_current()->poll_descriptor >= 0) close(loop_current()->poll_descriptor);
    loop_set_current(NULL);
}

/* ---- signals */

static void signal_came(struct ev_loop *ev, ev_signal *signal, int events) {
    struct loop_signal *entry = (struct loop_signal *)signal->data;

    (void)ev;
    (void)events;
    entry->function(signal->signum, entry->argument);
}

void loop_on_signal(int signal_number, void (*function)(int signal_number, void *argument), void *argument) {
    struct loop *loop = loop_current();
    struct loop_signal *entry;

    for (entry = loop->signals; entry; entry = entry->next) {
        if (entry->signal.signum != signal_number) continue;
        entry->function = function;
        entry->argument = argument;
        return;
    }
    entry = MEMORY_NEW(struct loop_signal);
    entry->function = function;
    entry->argument = argument;
    entry->next = loop->signals;
    loop->signals = entry;
    ev_signal_init(&entry->signal, signal_came, signal_number);
    entry->signal.data = entry;
    ev_signal_start(loop->ev, &entry->signal);
}

/* ---- watches */

static void watch_came(struct ev_loop *ev, ev_io *io, int events) {
    struct loop_watch *watch = (struct loop_watch *)io->data;

    (void)ev;
    (void)events;
    watch->function(io->fd, watch->argument);
}

struct loop_watch *loop_watch_readable(int descriptor, void (*function)(int descriptor, void *argument), void *argument) {
    struct loop_watch *watch = MEMORY_NEW(struct loop_watch);

    watch->function = function;
    watch->argument = argument;
    ev_io_init(&watch->io, watch_came, descriptor, EV_READ);
    watch->io.data = watch;
    ev_io_start(loop_current()->ev, &watch->io);
    loop_current()->watch_count++;
    return watch;
}

void loop_watch_pause(struct loop_watch *watch, bool paused) {
    if (paused)
        ev_io_stop(loop_current()->ev, &watch->io);
    else
        ev_io_start(loop_current()->ev, &watch->io);
}

void loop_watch_stop(struct loop_watch **watch) {
    struct loop *loop = loop_current();

    if (!*watch) return;
    ev_io_stop(loop->ev, &(*watch)->io);
    if (!descriptor_has_waits(loop, (*watch)->io.fd)) loop_unregister(loop, (*watch)->io.fd);
    loop->watch_count--;
    MEMORY_FREE(*watch);
}

/* ---- timers */

static void timer_came(struct ev_loop *ev, ev_timer *ev_timer, int events) {
    struct loop_timer *timer = (struct loop_timer *)ev_timer->data;
    struct loop *loop = ev_userdata(ev);

    (void)events;
    if (!ev_is_active(ev_timer)) {
        timer->over = true;
        loop->watch_count--;
    }
    timer->function(timer->argument); /* may free the timer */
}

struct loop_timer *loop_timer_start(int64_t milliseconds, int64_t repeat, void (*function)(void *argument), void *argument) {
    struct loop_timer *timer = MEMORY_NEW(struct loop_timer);

    timer->function = function;
    timer->argument = argument;
    ev_now_update(loop_current()->ev);
    ev_timer_init(&timer->timer, timer_came, seconds(milliseconds), seconds(repeat));
    timer->timer.data = timer;
    ev_timer_start(loop_current()->ev, &timer->timer);
    loop_current()->watch_count++;
    return timer;
}

void loop_timer_stop(struct loop_timer **timer) {
    if (!*timer) return;
    ev_timer_stop(loop_current()->ev, &(*timer)->timer);
    if (!(*timer)->over) loop_current()->watch_count--;
    MEMORY_FREE(*timer);
}
