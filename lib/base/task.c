/* Tasks: starting, switching, waiting, cancelling, queues. */
#include <poll.h>
#include <unistd.h>

#include "loop_internal.h"
#include "memory.h"

#ifdef TERN_SANITIZERS
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(save, low, size) ((void)(low), (void)(size))
#define __sanitizer_finish_switch_fiber(fake, low, size) ((void)(fake))
#endif

/* ---- lists */

#define LIST_APPEND(list, task, link)                                                                                  \
    do {                                                                                                               \
        (task)->link.previous = (list)->last;                                                                          \
        (task)->link.next = NULL;                                                                                      \
        if ((list)->last)                                                                                              \
            (list)->last->link.next = (task);                                                                          \
        else                                                                                                           \
            (list)->first = (task);                                                                                    \
        (list)->last = (task);                                                                                         \
    } while (0)

#define LIST_REMOVE(list, task, link)                                                                                  \
    do {                                                                                                               \
        if ((task)->link.previous)                                                                                     \
            (task)->link.previous->link.next = (task)->link.next;                                                      \
        else                                                                                                           \
            (list)->first = (task)->link.next;                                                                         \
        if ((task)->link.next)                                                                                         \
            (task)->link.next->link.previous = (task)->link.previous;                                                  \
        else                                                                                                           \
            (list)->last = (task)->link.previous;                                                                      \
    } while (0)

static struct task *task_of_waiter(struct task_waiter *waiter) {
    return (struct task *)((char *)waiter - offsetof(struct task, waiter));
}

static void waiter_append(struct task_queue *queue, struct task_waiter *waiter) {
    waiter->queue = queue;
    waiter->next = NULL;
    waiter->previous = queue->last;
    if (queue->last)
        queue->last->next = waiter;
    else
        queue->first = waiter;
    queue->last = waiter;
}

static void waiter_remove(struct task_waiter *waiter) {
    struct task_queue *queue = waiter->queue;

    if (!queue) return;
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        queue->first = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    else
        queue->last = waiter->previous;
    waiter->queue = NULL;
}

/* ---- the run queue */

static void make_ready(struct loop *loop, struct task *task) {
    task->next_ready = NULL;
    if (loop->ready_last)
        loop->ready_last->next_ready = task;
    else
        loop->ready_first = task;
    loop->ready_last = task;
}

struct task *task_pop_ready(struct loop *loop) {
    struct task *task = loop->ready_first;

    if (!task) return NULL;
    loop->ready_first = task->next_ready;
    if (!loop->ready_first) loop->ready_last = NULL;
    return task;
}

/* ---- stacks of tasks that rest */

static void rest(struct loop *loop, struct task *task) {
    task->is_resting = true;
    task->rest_age = loop->sweep;
    LIST_APPEND(&loop->resting, task, resting);
    loop_want_sweep(loop);
}

static void stop_resting(struct loop *loop, struct task *task) {
    if (!task->is_resting) return;
    task->is_resting = false;
    LIST_REMOVE(&loop->resting, task, resting);
}

bool task_trim_resting(struct loop *loop, unsigned before) {
    struct task *task;

    while ((task = loop->resting.first) != NULL && (int)(task->rest_age - before) < 0) {
        const void *used = task->finished ? task : context_lowest_used(&task->context);
        stop_resting(loop, task);
        if (used) stack_trim_below(task->stack, used);
    }
    return loop->resting.first != NULL;
}

/* ---- switching */

static void switch_to_loop(struct loop *loop, struct task *task, bool for_good) {
    (void)for_good;
    __sanitizer_start_switch_fiber(for_good ? NULL : &task->fake_stack, loop->main_low, loop->main_size);
    context_switch(&task->context, &loop->context);
    __sanitizer_finish_switch_fiber(task->fake_stack, &loop->main_low, &loop->main_size);
}

static void dispose(struct loop *loop, struct task *task) {
    struct stack *stack = task->stack;

    stop_resting(loop, task);
    stack_give(&loop->stacks, stack, loop->sweep);
    loop_want_sweep(loop);
}

static void end_task(struct loop *loop, struct task *task) {
    loop->task_count--;
    LIST_REMOVE(&loop->alive, task, alive);
    timeout_heap_remove(&loop->timeouts, task);
    task_queue_wake_all(&task->joiners);
    if (task->held)
        rest(loop, task); /* only the struct is still wanted */
    else
        dispose(loop, task);
}

void task_run(struct loop *loop, struct task *task) {
    loop->running = task;
    __sanitizer_start_switch_fiber(&loop->fake_stack, task->stack->low, (size_t)((char *)task - task->stack->low));
    context_switch(&loop->context, &task->context);
    __sanitizer_finish_switch_fiber(loop->fake_stack, NULL, NULL);
    loop->running = NULL;
    if (task->finished) end_task(loop, task);
}

static void begin_task(void *argument) {
    struct task *task = argument;

    __sanitizer_finish_switch_fiber(NULL, &loop_current()->main_low, &loop_current()->main_size);
    task->function(task->argument);
    task->finished = true;
    switch_to_loop(loop_current(), task, true);
    abort(); /* nobody switches to a finished task */
}

/* ---- starting and handles */

static struct task *start(const char *name, task_function *function, void *argument, bool held) {
    struct loop *loop = loop_current();
    struct stack *stack = stack_take(&loop->stacks);
    struct task *task;

    if (!stack) return NULL;
    task = (struct task *)(((uintptr_t)stack - sizeof(struct task)) & ~(uintptr_t)63);
    *task = (struct task){
        .stack = stack, .name = name, .function = function, .argument = argument, .held = held, .cancelled = loop->draining};
    context_prepare(&task->context, stack->low, task, begin_task, task);
    LIST_APPEND(&loop->alive, task, alive);
    loop->task_count++;
    make_ready(loop, task);
    return task;
}

bool task_start(const char *name, task_function *function, void *argument) {
    return start(name, function, argument, false) != NULL;
}

bool task_start_held(const char *name, task_function *function, void *argument, struct task **task) {
    struct task *started = start(name, function, argument, true);

    if (!started) return false;
    *task = started;
    return true;
}

void task_release(struct task **task) {
    if (!*task) return;
    (*task)->held = false;
    if ((*task)->finished) dispose(loop_current(), *task);
    *task = NULL;
}

struct task *task_current(void) {
    struct loop *loop = loop_current();

    return loop ? loop->running : NULL;
}

size_t task_stack_left(void) {
    const struct task *task = task_current();
    return task ? (size_t)((const char *)__builtin_frame_address(0) - task->stack->low) : SIZE_MAX;
}

const char *task_name(const struct task *task) {
    return task->name;
}

bool task_is_cancelled(const struct task *task) {
    return task->cancelled;
}

/* ---- waiting */

static enum wait_result suspend(struct loop *loop, struct task *task) {
    task->waiting = true;
    rest(loop, task);
    switch_to_loop(loop, task, false);
    return task->result;
}

enum wait_result task_suspend(struct task_queue *queue, deadline until) {
    struct loop *loop = loop_current();
    struct task *task = loop->running;

    if (task->cancelled) return WAIT_CANCELLED;
    task->until = until;
    if (until != DEADLINE_NEVER) timeout_heap_want(&loop->timeouts, task, until);
    if (queue) waiter_append(queue, &task->waiter);
    return suspend(loop, task);
}

void task_suspend_uninterruptible(void) {
    struct loop *loop = loop_current();
    struct task *task = loop->running;

    task->until = DEADLINE_NEVER;
    task->uninterruptible = true;
    suspend(loop, task);
    task->uninterruptible = false;
}

void task_wake(struct task *task, enum wait_result result) {
    struct loop *loop = loop_current();

    if (!task->waiting) return;
    task->waiting = false;
    task->result = result;
    task->until = DEADLINE_NEVER;
    waiter_remove(&task->waiter);
    stop_resting(loop, task);
    make_ready(loop, task);
}

/* The heap holds the earliest moment that the task ever asked for; its present
 * wait may have a later one, or none. */
void task_timeout_came(struct loop *loop, struct task *task, deadline now) {
    if (!task->waiting || task->until == DEADLINE_NEVER) return;
    if (task->until <= now)
        task_wake(task, WAIT_TIMEOUT);
    else
        timeout_heap_want(&loop->timeouts, task, task->until);
}

enum wait_result task_sleep(int64_t milliseconds) {
    if (!task_current()) {
        deadline until = deadline_in(milliseconds);
        int64_t left;
        while ((left = deadline_left(until)) > 0) (void)poll(NULL, 0, left > 1000000 ? 1000000 : (int)left);
        return WAIT_TIMEOUT;
    }
    return task_suspend(NULL, deadline_in(milliseconds));
}

void task_yield(void) {
    struct loop *loop = loop_current();
    struct task *task = task_current();

    if (!task) return;
    make_ready(loop, task);
    switch_to_loop(loop, task, false);
}

/* ---- cancelling and joining */

void task_cancel(struct task *task) {
    if (task->finished) return;
    task->cancelled = true;
    if (task->waiting && !task->uninterruptible) task_wake(task, WAIT_CANCELLED);
}

void task_cancel_all(struct loop *loop) {
    for (struct task *task = loop->alive.first; task; task = task->alive.next) task_cancel(task);
}

enum wait_result task_join(struct task *task, deadline until) {
    while (!task->finished) {
        enum wait_result result = task_suspend(&task->joiners, until);
        if (result != WAIT_READY) return result;
    }
    return WAIT_READY;
}

/* ---- queues */

enum wait_result task_queue_wait(struct task_queue *queue, deadline until) {
    return task_suspend(queue, until);
}

bool task_queue_wake_one(struct task_queue *queue) {
    if (!queue->first) return false;
    task_wake(task_of_waiter(queue->first), WAIT_READY);
    return true;
}

void task_queue_wake_all(struct task_queue *queue) {
    while (task_queue_wake_one(queue)) continue;
}
