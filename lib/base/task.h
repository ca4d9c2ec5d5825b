/* Tasks: straight-line code on one readiness loop.
 *
 * A task is a coroutine with a guarded stack of its own. Session code reads,
 * writes, sleeps, asks another daemon and runs blocking calls as if it had the
 * process to itself; each of these suspends the task, never the process. A
 * switch costs no system call. One loop a process, run by one thread; only
 * task_run_blocking touches other threads.
 *
 * Rules: a task never switches inside a library's call. Whoever waits gives a
 * deadline. A cancelled task gets WAIT_CANCELLED from the wait it is in and
 * from every later one, so it unwinds by its own ordinary error path.
 *
 * The loop is found through a thread-local pointer (the one the house style
 * allows), so that functions need not carry it. */
#ifndef TERN_TASK_H
#define TERN_TASK_H

#include "clock.h"
#include "compiler.h"
#include "failure.h"

struct loop;
struct task;

typedef void task_function(void *argument);

enum wait_result {
    WAIT_READY,
    WAIT_TIMEOUT,
    WAIT_CANCELLED,
};

/* ---- the loop */

struct loop_options {
    size_t stack_size;      /* bytes of address space a task's stack has; 0: 256 KiB (1 MiB with ASan) */
    size_t idle_stacks;     /* stacks kept for reuse, 0: 64 */
    unsigned blocking_threads; /* helper threads at most, started when wanted; 0: 8 */
    int64_t trim_after;     /* ms after which a waiting task's unused stack pages go back; 0: 2000 */
};

/* Makes this thread's loop. Must come after any fork. */
MUST_USE bool loop_create(const struct loop_options *options, struct failure *failure);
/* Runs until loop_stop was called, or until no task lives and there is no watch and no timer. */
void loop_run(void);
/* Makes loop_run return after this round. Safe in tasks and watch functions. */
void loop_stop(void);
/* Frees the loop. Tasks still alive are cancelled and run to their end first. */
void loop_destroy(void);
/* In the child of a fork: lets go of the parent's loop without touching what
 * they share, so that the child can make a loop of its own. */
void loop_abandon(void);
/* Number of tasks alive. */
size_t loop_task_count(void);

/* A signal to be handled in the loop (signalfd or libev's), by a function that
 * runs outside any task. */
void loop_on_signal(int signal_number, void (*function)(int signal_number, void *argument), void *argument);

/* A watch: calls the function, outside any task, each time the descriptor is
 * readable: for listeners and supervisors that are no sessions. */
struct loop_watch;
struct loop_watch *loop_watch_readable(int descriptor, void (*function)(int descriptor, void *argument), void *argument);
/* Pausing keeps the watch but does not call it. */
void loop_watch_pause(struct loop_watch *watch, bool paused);
/* Ends it (before the descriptor is closed); sets *watch to NULL. */
void loop_watch_stop(struct loop_watch **watch);

/* A timer outside tasks: calls the function after milliseconds, then every
 * repeat milliseconds (0: once). */
struct loop_timer;
struct loop_timer *loop_timer_start(int64_t milliseconds, int64_t repeat, void (*function)(void *argument), void *argument);
void loop_timer_stop(struct loop_timer **timer);

/* ---- tasks */

/* Starts a task; it first runs in the loop's next round. name is kept by
 * pointer (a literal) for logs. False when no stack can be had. */
MUST_USE bool task_start(const char *name, task_function *function, void *argument);
/* The same, and *task can be cancelled or joined; it must be released by
 * task_release once nobody needs it (the task itself lives on). */
MUST_USE bool task_start_held(const char *name, task_function *function, void *argument, struct task **task);
void task_release(struct task **task);
/* The running task; NULL outside any. */
struct task *task_current(void);
const char *task_name(const struct task *task);
/* Bytes of the running task's stack that are left; outside any, as many as can be. */
size_t task_stack_left(void);
/* Cancels: see above. No effect on a finished task. */
void task_cancel(struct task *task);
bool task_is_cancelled(const struct task *task);
/* Waits until the task has ended. */
MUST_USE enum wait_result task_join(struct task *task, deadline until);

/* ---- waiting
 *
 * WAIT_READY says "try again", not more: the call that follows may find nothing.
 * Outside any task (command line tools) these block the process. A deadline that
 * has passed still lets the loop look once. The descriptor must be open, or -1
 * (always ready, so that the call that follows fails by itself). */

MUST_USE enum wait_result task_wait_readable(int descriptor, deadline until);
MUST_USE enum wait_result task_wait_writable(int descriptor, deadline until);
/* Forgets a descriptor that is about to be closed; call before close() on any
 * descriptor that a task waited on. */
void task_forget_descriptor(int descriptor);
/* Sleeps; WAIT_TIMEOUT is the normal end. */
enum wait_result task_sleep(int64_t milliseconds);
/* Lets the others run once. */
void task_yield(void);

/* ---- signals between tasks of one process */

/* A queue of waiting tasks. A zeroed struct is an empty one. */
struct task_queue {
    struct task_waiter *first, *last;
};
/* Waits until woken; inside a task only. A task that was woken and then cancelled
 * before it ran still gets WAIT_READY, so that no wake is lost. */
MUST_USE enum wait_result task_queue_wait(struct task_queue *queue, deadline until);
/* Wakes the longest waiting task; false if there is none. May be called outside tasks. */
bool task_queue_wake_one(struct task_queue *queue);
void task_queue_wake_all(struct task_queue *queue);

/* ---- blocking calls */

/* Runs function(argument) on a helper thread while the task waits, to its end
 * whatever happens (there is no deadline: what the function touches stays valid;
 * a cancelled task also waits for it). The function must not touch the loop or
 * tasks. Outside any task it is simply called. */
void task_run_blocking(void (*function)(void *argument), void *argument);
/* Blocking calls that are waiting for a thread right now. */
size_t task_blocking_backlog(void);

#endif
