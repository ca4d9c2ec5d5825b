/* The loop's and the tasks' own structures, shared by loop.c, loop_state.c,
 * task.c, descriptor.c and blocking.c; nobody else includes this. */
#ifndef TERN_LOOP_INTERNAL_H
#define TERN_LOOP_INTERNAL_H

#include <ev.h>

#include "context.h"
#include "stack.h"
#include "task.h"
#include "timeout_heap.h"

/* A place in a queue of waiting tasks. */
struct task_waiter {
    struct task_waiter *next, *previous;
    struct task_queue *queue; /* NULL: in none */
};

/* A place in one of the loop's own lists. */
struct task_link {
    struct task *next, *previous;
};

struct task_list {
    struct task *first, *last;
};

/* Lives at the top of its own stack. */
struct task {
    struct context context;
    struct task_waiter waiter;
    struct task_link alive;   /* loop->alive */
    struct task_link resting; /* loop->resting: waits, and its stack is not trimmed yet */
    struct task *next_ready;
    struct stack *stack;
    const char *name;
    task_function *function;
    void *argument;
    struct task_queue joiners;
    struct timeout_entry timeout;
    deadline until;      /* of the present wait */
    void *fake_stack;    /* AddressSanitizer's */
    unsigned rest_age;   /* sweep in which the wait began */
    enum wait_result result;
    bool is_resting;
    bool waiting;        /* suspended, and not in the run queue */
    bool uninterruptible;
    bool cancelled;
    bool finished;
    bool held;
};

/* What the loop knows of a descriptor that tasks wait on. The read watcher stays
 * started between waits, so that waiting again and again on one connection tells
 * the kernel nothing; it is stopped when something comes that nobody waits for. */
struct descriptor {
    ev_io reader, writer;
    struct task_queue readers, writers;
    bool told; /* the kernel may know of it */
};

struct blocking_pool;

struct loop {
    struct ev_loop *ev;
    int poll_descriptor; /* libev's epoll descriptor, -1 if unknown */
    struct context context;
    struct task *running;
    struct task *ready_first, *ready_last;
    struct task_list alive, resting;
    size_t task_count;
    size_t watch_count; /* watches and timers */
    bool stopping, draining;
    struct stack_pool stacks;
    struct timeout_heap timeouts;
    ev_timer timeout_timer;
    deadline timeout_set; /* what timeout_timer is set for; NEVER: stopped */
    ev_timer sweep_timer;
    double sweep_period; /* seconds */
    unsigned sweep;      /* sweeps so far */
    struct descriptor **descriptors;
    size_t descriptor_count;
    struct loop_signal *signals;
    struct blocking_pool *blocking;
    unsigned blocking_threads;
    void *fake_stack;
    const void *main_low;
    size_t main_size;
};

/* This thread's loop; NULL if there is none. */
struct loop *loop_current(void);
void loop_set_current(struct loop *loop);
/* Tells libev's kernel object to forget a descriptor whose open file may live on elsewhere. */
void loop_unregister(struct loop *loop, int descriptor);
/* Sees to it that the sweep for unused stack memory comes. */
void loop_want_sweep(struct loop *loop);
/* Sets the libev timer for the earliest timeout. */
void loop_arm_timeouts(struct loop *loop);

/* Suspends the running task until woken. queue may be NULL. */
enum wait_result task_suspend(struct task_queue *queue, deadline until);
/* The same, but neither cancellation nor a deadline ends it. */
void task_suspend_uninterruptible(void);
/* Takes a waiting task out of all it waits in and makes it ready. */
void task_wake(struct task *task, enum wait_result result);
/* Runs a ready task until it waits or ends. */
void task_run(struct loop *loop, struct task *task);
struct task *task_pop_ready(struct loop *loop);
void task_cancel_all(struct loop *loop);
void task_timeout_came(struct loop *loop, struct task *task, deadline now);
/* Trims the stacks of tasks that have waited since before a sweep; true if others are left. */
bool task_trim_resting(struct loop *loop, unsigned before);

void descriptors_clear(struct loop *loop);
bool descriptor_has_waits(struct loop *loop, int descriptor);

/* Ends the helper threads; no call may be under way. */
void blocking_pool_destroy(struct loop *loop);

#endif
