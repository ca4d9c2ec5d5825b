/* Unit tests of the loop and its tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "context.h"
#include "memory.h"
#include "task.h"

/* Assertions leave by longjmp, so they are made outside tasks only; tasks note
 * what they saw. */

static void start_loop(const struct loop_options *options) {
    struct failure failure;

    assert_true(loop_create(options, &failure));
}

/* ---- switching */

struct counter {
    int rounds;
    int *log;
    int *length;
    int id;
};

static void counting(void *argument) {
    struct counter *counter = argument;

    for (int i = 0; i < counter->rounds; i++) {
        counter->log[(*counter->length)++] = counter->id;
        task_yield();
    }
}

static void test_switching_takes_turns(void **state) {
    int log[30], length = 0;
    struct counter counters[3];

    (void)state;
    start_loop(NULL);
    for (int i = 0; i < 3; i++) {
        counters[i] = (struct counter){10, log, &length, i};
        assert_true(task_start("counter", counting, &counters[i]));
    }
    assert_int_equal(loop_task_count(), 3);
    assert_int_equal(length, 0);
    loop_run();
    assert_int_equal(length, 30);
    for (int i = 0; i < 30; i++) assert_int_equal(log[i], i % 3);
    assert_int_equal(loop_task_count(), 0);
    loop_destroy();
}

/* Callee-saved registers and the floating point control word are each task's own. */
static void rounding(void *argument) {
    int *wrong = argument;
    volatile double one = 1.0, three = 3.0;
    double up, down;

    fesetround(FE_UPWARD);
    task_yield();
    up = one / three;
    if (fegetround() != FE_UPWARD) ++*wrong;
    fesetround(FE_DOWNWARD);
    task_yield();
    down = one / three;
    if (!(up > down)) ++*wrong;
}

static void not_rounding(void *argument) {
    int *wrong = argument;

    for (int i = 0; i < 4; i++) {
        if (fegetround() != FE_TONEAREST) ++*wrong;
        task_yield();
    }
}

static void test_floating_point_control(void **state) {
    int wrong = 0;

    (void)state;
    if (RUNNING_ON_VALGRIND) return; /* it does not model rounding of every unit */
    start_loop(NULL);
    assert_true(task_start("rounding", rounding, &wrong));
    assert_true(task_start("not rounding", not_rounding, &wrong));
    loop_run();
    assert_int_equal(wrong, 0);
    assert_int_equal(fegetround(), FE_TONEAREST);
    loop_destroy();
}

static void deep(int levels, volatile char *sum) {
    volatile char here[512];

    here[0] = (char)levels;
    here[511] = here[0];
    *sum = (char)(*sum + here[511]);
    if (levels > 0) deep(levels - 1, sum);
    if (levels % 10 == 0) task_yield();
    *sum = (char)(*sum - here[0]);
}

static void going_deep(void *argument) {
    volatile char sum = 0;

    deep(100, &sum);
    if (sum == 0) ++*(int *)argument;
}

static void test_ten_thousand(void **state) {
    int done = 0, count = RUNNING_ON_VALGRIND ? 200 : 10000;

    (void)state;
    start_loop(NULL);
    for (int i = 0; i < count; i++) assert_true(task_start("deep", going_deep, &done));
    loop_run();
    assert_int_equal(done, count);
    loop_destroy();
}

/* ---- names, current */

static void looking_at_itself(void *argument) {
    const char **name = argument;

    *name = task_name(task_current());
}

struct stack_seen {
    size_t at_first, deeper;
};

__attribute__((noinline)) static void look_deeper(struct stack_seen *seen) {
    volatile char room[20000];

    room[0] = room[sizeof room - 1] = 1;
    seen->deeper = task_stack_left() + (size_t)(room[0] - room[sizeof room - 1]);
}

static void look_at_stack(void *argument) {
    struct stack_seen *seen = argument;

    seen->at_first = task_stack_left();
    look_deeper(seen);
}

static void test_stack_left(void **state) {
    struct stack_seen seen = {0};
    const struct loop_options options = {.stack_size = 256 * 1024};

    (void)state;
    start_loop(&options);
    assert_true(task_start("look", look_at_stack, &seen));
    loop_run();
    loop_destroy();
    assert_in_range(seen.at_first, 200 * 1024, 256 * 1024);
    assert_in_range(seen.at_first - seen.deeper, 20000, 60000);
    assert_true(task_stack_left() == SIZE_MAX);
}

static void test_current(void **state) {
    const char *name = NULL;

    (void)state;
    assert_null(task_current());
    start_loop(NULL);
    assert_null(task_current());
    assert_true(task_start("a name", looking_at_itself, &name));
    loop_run();
    assert_string_equal(name, "a name");
    loop_destroy();
}

/* ---- deadlines */

struct sleeper {
    int64_t milliseconds;
    int *order;
    enum wait_result result;
    int place;
    int64_t slept;
};

static void sleeping(void *argument) {
    struct sleeper *sleeper = argument;
    deadline before = clock_monotonic();

    sleeper->result = task_sleep(sleeper->milliseconds);
    sleeper->slept = clock_monotonic() - before;
    sleeper->place = (*sleeper->order)++;
}

static void test_deadlines_in_order(void **state) {
    static const int64_t times[] = {80, 20, 60, 0, 40, 100, -5, 120};
    static const int places[] = {5, 2, 4, 0, 3, 6, 1, 7};
    struct sleeper sleepers[ARRAY_LENGTH(times)];
    int order = 0;

    (void)state;
    start_loop(NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        sleepers[i] = (struct sleeper){.milliseconds = times[i], .order = &order};
        assert_true(task_start("sleeper", sleeping, &sleepers[i]));
    }
    loop_run();
    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        assert_int_equal(sleepers[i].result, WAIT_TIMEOUT);
        assert_true(sleepers[i].slept >= times[i]);
        if (times[i] > 0) assert_int_equal(sleepers[i].place, places[i]);
    }
    loop_destroy();
}

static void sleeping_at_random(void *argument) {
    int *late = argument;

    for (int i = 0; i < 20; i++) {
        int64_t wanted = rand() % 20;
        deadline until = deadline_in(wanted);
        task_sleep(wanted);
        if (clock_monotonic() < until) ++*late;
    }
}

static void test_many_deadlines(void **state) {
    int early = 0, count = RUNNING_ON_VALGRIND ? 50 : 1000;

    (void)state;
    start_loop(NULL);
    for (int i = 0; i < count; i++) assert_true(task_start("sleeper", sleeping_at_random, &early));
    loop_run();
    assert_int_equal(early, 0);
    loop_destroy();
}

/* A later deadline after an earlier one that did not come, and the other way round. */
struct shifting {
    int descriptor;
    enum wait_result results[3];
    int64_t took[3];
};

static void shifting_deadlines(void *argument) {
    static const int64_t times[] = {30, 90, 10};
    struct shifting *shifting = argument;

    for (int i = 0; i < 3; i++) {
        deadline before = clock_monotonic();
        shifting->results[i] = task_wait_readable(shifting->descriptor, deadline_in(times[i]));
        shifting->took[i] = clock_monotonic() - before;
        if (i == 0) {
            char c;
            if (read(shifting->descriptor, &c, 1) != 1) shifting->results[0] = WAIT_CANCELLED;
        }
    }
}

static void test_shifting_deadlines(void **state) {
    struct shifting shifting = {0};
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    start_loop(NULL);
    shifting.descriptor = pair[0];
    assert_true(task_start("shifting", shifting_deadlines, &shifting));
    loop_run();
    assert_int_equal(shifting.results[0], WAIT_READY);
    assert_int_equal(shifting.results[1], WAIT_TIMEOUT);
    assert_true(shifting.took[1] >= 90);
    assert_int_equal(shifting.results[2], WAIT_TIMEOUT);
    assert_true(shifting.took[2] >= 10 && (shifting.took[2] < 80 || RUNNING_ON_VALGRIND));
    loop_destroy();
    close(pair[0]);
    close(pair[1]);
}

/* ---- descriptors */

struct echo {
    int descriptor;
    int rounds;
    int done;
};

static void echoing(void *argument) {
    struct echo *echo = argument;
    char c;

    for (;;) {
        ssize_t got = recv(echo->descriptor, &c, 1, MSG_DONTWAIT);
        if (got == 0) break;
        if (got < 0) {
            if (task_wait_readable(echo->descriptor, deadline_in(20000)) != WAIT_READY) break;
            continue;
        }
        if (send(echo->descriptor, &c, 1, MSG_NOSIGNAL) != 1) break;
    }
    task_forget_descriptor(echo->descriptor);
    close(echo->descriptor);
}

static void asking(void *argument) {
    struct echo *echo = argument;
    char c = 'a';

    for (int i = 0; i < echo->rounds; i++) {
        if (send(echo->descriptor, &c, 1, MSG_NOSIGNAL) != 1) break;
        while (recv(echo->descriptor, &c, 1, MSG_DONTWAIT) != 1)
            if (task_wait_readable(echo->descriptor, deadline_in(20000)) != WAIT_READY) goto end;
        echo->done++;
    }
end:
    task_forget_descriptor(echo->descriptor);
    close(echo->descriptor);
}

static void test_descriptors_echo(void **state) {
    enum { PAIRS = 50 };
    static struct echo left[PAIRS], right[PAIRS];

    (void)state;
    start_loop(NULL);
    for (int round = 0; round < 3; round++) { /* numbers are used again */
        for (int i = 0; i < PAIRS; i++) {
            int pair[2];
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
            left[i] = (struct echo){.descriptor = pair[0]};
            right[i] = (struct echo){.descriptor = pair[1], .rounds = 100};
            assert_true(task_start("echo", echoing, &left[i]));
            assert_true(task_start("ask", asking, &right[i]));
        }
        loop_run();
        for (int i = 0; i < PAIRS; i++) assert_int_equal(right[i].done, 100);
    }
    loop_destroy();
}

/* The number is closed and used again within one round, and the old file lives on. */
struct reuse {
    bool ready, timed_out;
    bool spun;
};

static void reusing(void *argument) {
    struct reuse *reuse = argument;
    int first[2], second[2], kept, number;
    struct timespec before, after;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, first) != 0) return;
    reuse->timed_out = task_wait_readable(first[0], deadline_in(5)) == WAIT_TIMEOUT;
    kept = dup(first[0]);
    number = first[0];
    task_forget_descriptor(first[0]);
    close(first[0]);
    if (write(first[1], "x", 1) != 1) return; /* makes the old file readable */
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, second) != 0) return;
    if (second[0] != number) return;
    if (task_wait_readable(second[0], deadline_in(20)) != WAIT_TIMEOUT) return;
    if (write(second[1], "x", 1) != 1) return;
    reuse->ready = task_wait_readable(second[0], deadline_in(5000)) == WAIT_READY;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    task_sleep(50); /* nobody reads: the loop must not turn meanwhile */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    reuse->spun = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec > 20000000;
    task_forget_descriptor(second[0]);
    close(second[0]);
    close(second[1]);
    close(first[1]);
    close(kept);
}

static void test_number_used_again(void **state) {
    struct reuse reuse = {0};

    (void)state;
    start_loop(NULL);
    assert_true(task_start("reusing", reusing, &reuse));
    loop_run();
    assert_true(reuse.timed_out);
    assert_true(reuse.ready);
    assert_true(!reuse.spun || RUNNING_ON_VALGRIND);
    loop_destroy();
}

struct filling {
    int descriptor;
    size_t moved;
    enum wait_result last;
};

static void filling(void *argument) {
    struct filling *filling = argument;
    static const char block[65536];

    while (filling->moved < 4000000) {
        ssize_t sent = send(filling->descriptor, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            filling->moved += (size_t)sent;
        else if ((filling->last = task_wait_writable(filling->descriptor, deadline_in(5000))) != WAIT_READY)
            break;
    }
    task_forget_descriptor(filling->descriptor);
    close(filling->descriptor);
}

static void draining(void *argument) {
    struct filling *draining = argument;
    static char block[65536];

    for (;;) {
        ssize_t got = recv(draining->descriptor, block, sizeof(block), MSG_DONTWAIT);
        if (got == 0) break;
        if (got > 0)
            draining->moved += (size_t)got;
        else if (task_wait_readable(draining->descriptor, deadline_in(5000)) != WAIT_READY)
            break;
    }
    task_forget_descriptor(draining->descriptor);
    close(draining->descriptor);
}

static void test_writable(void **state) {
    struct filling from = {0}, to = {0};
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    from.descriptor = pair[0];
    to.descriptor = pair[1];
    start_loop(NULL);
    assert_true(task_start("filling", filling, &from));
    assert_true(task_start("draining", draining, &to));
    loop_run();
    assert_true(from.moved >= 4000000);
    assert_int_equal(from.moved, to.moved);
    loop_destroy();
}

static void waiting_on_nothing(void *argument) {
    enum wait_result *results = argument;

    results[0] = task_wait_readable(-1, deadline_in(5000));
    results[1] = task_wait_writable(-1, deadline_in(5000));
}

static void test_no_descriptor(void **state) {
    enum wait_result results[2] = {WAIT_TIMEOUT, WAIT_TIMEOUT};

    (void)state;
    start_loop(NULL);
    assert_true(task_start("bad", waiting_on_nothing, results));
    loop_run();
    assert_int_equal(results[0], WAIT_READY);
    assert_int_equal(results[1], WAIT_READY);
    loop_destroy();
}

static void test_outside_tasks(void **state) {
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(task_wait_readable(pair[0], deadline_in(10)), WAIT_TIMEOUT);
    assert_int_equal(task_wait_writable(pair[1], DEADLINE_NEVER), WAIT_READY);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(task_wait_readable(pair[0], DEADLINE_NEVER), WAIT_READY);
    assert_int_equal(task_sleep(5), WAIT_TIMEOUT);
    task_forget_descriptor(pair[0]);
    close(pair[0]);
    close(pair[1]);
}

/* ---- cancelling */

struct victim {
    int how;
    int descriptor;
    struct task_queue *queue;
    enum wait_result first, second;
    bool blocking_ran_to_end;
};

static void slow_call(void *argument) {
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    *(bool *)argument = true;
}

static void being_cancelled(void *argument) {
    struct victim *victim = argument;

    switch (victim->how) {
    case 0: victim->first = task_sleep(20000); break;
    case 1: victim->first = task_wait_readable(victim->descriptor, deadline_in(20000)); break;
    case 2: victim->first = task_queue_wait(victim->queue, DEADLINE_NEVER); break;
    case 3:
        task_run_blocking(slow_call, &victim->blocking_ran_to_end);
        victim->first = victim->blocking_ran_to_end ? WAIT_CANCELLED : WAIT_READY;
        break;
    default: victim->first = task_wait_writable(victim->descriptor, deadline_in(20000)); break;
    }
    victim->second = task_wait_readable(victim->descriptor, deadline_in(20000));
}

static void cancelling(void *argument) {
    struct task **tasks = argument;

    task_sleep(10);
    for (int i = 0; i < 4; i++) task_cancel(tasks[i]);
    for (int i = 0; i < 4; i++) {
        if (task_join(tasks[i], deadline_in(20000)) != WAIT_READY) return;
        if (!task_is_cancelled(tasks[i])) return;
        task_cancel(tasks[i]); /* no effect */
        task_release(&tasks[i]);
    }
}

static void test_cancel(void **state) {
    struct task_queue queue = {0};
    struct victim victims[4] = {0};
    struct task *tasks[4];
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    start_loop(NULL);
    for (int i = 0; i < 4; i++) {
        victims[i] = (struct victim){.how = i, .descriptor = pair[0], .queue = &queue, .first = WAIT_READY, .second = WAIT_READY};
        assert_true(task_start_held("victim", being_cancelled, &victims[i], &tasks[i]));
    }
    assert_true(task_start("cancelling", cancelling, tasks));
    loop_run();
    for (int i = 0; i < 4; i++) {
        assert_null(tasks[i]);
        assert_int_equal(victims[i].first, WAIT_CANCELLED);
        assert_int_equal(victims[i].second, WAIT_CANCELLED);
    }
    assert_true(victims[3].blocking_ran_to_end);
    assert_null(queue.first);
    loop_destroy();
    close(pair[0]);
    close(pair[1]);
}

static void test_destroy_cancels(void **state) {
    struct victim victims[4] = {0};
    struct task_queue queue = {0};
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    start_loop(NULL);
    for (int i = 0; i < 4; i++) {
        victims[i] = (struct victim){.how = i, .descriptor = pair[0], .queue = &queue};
        assert_true(task_start("victim", being_cancelled, &victims[i]));
    }
    loop_destroy(); /* none of them has run yet */
    for (int i = 0; i < 4; i++) assert_int_equal(victims[i].second, WAIT_CANCELLED);
    close(pair[0]);
    close(pair[1]);
}

/* ---- queues and joining */

struct queued {
    struct task_queue *queue;
    int *order;
    int place;
    enum wait_result result;
    deadline until;
};

static void waiting_in_queue(void *argument) {
    struct queued *queued = argument;

    queued->result = task_queue_wait(queued->queue, queued->until);
    queued->place = (*queued->order)++;
}

static void waking(void *argument) {
    struct task_queue *queue = argument;

    task_sleep(30); /* the one with a deadline has left by then */
    task_queue_wake_one(queue);
    task_sleep(5);
    task_queue_wake_all(queue);
    if (task_queue_wake_one(queue)) abort();
}

static void test_queue(void **state) {
    struct task_queue queue = {0};
    struct queued tasks[5];
    int order = 0;

    (void)state;
    start_loop(NULL);
    for (int i = 0; i < 5; i++) {
        tasks[i] = (struct queued){&queue, &order, 0, WAIT_CANCELLED, i == 1 ? deadline_in(10) : DEADLINE_NEVER};
        assert_true(task_start("queued", waiting_in_queue, &tasks[i]));
    }
    assert_true(task_start("waking", waking, &queue));
    loop_run();
    assert_int_equal(tasks[1].result, WAIT_TIMEOUT);
    assert_int_equal(tasks[1].place, 0);
    assert_int_equal(tasks[0].place, 1);
    for (int i = 2; i < 5; i++) {
        assert_int_equal(tasks[i].place, i);
        assert_int_equal(tasks[i].result, WAIT_READY);
    }
    loop_destroy();
}

struct late {
    struct task *task;
    struct queued queued;
};

static void waking_then_cancelling(void *argument) {
    struct late *late = argument;

    task_yield();
    task_queue_wake_one(late->queued.queue);
    task_cancel(late->task);
}

static void test_wake_is_not_lost(void **state) {
    struct task_queue queue = {0};
    int order = 0;
    struct late late = {NULL, {&queue, &order, 0, WAIT_TIMEOUT, DEADLINE_NEVER}};

    (void)state;
    start_loop(NULL);
    assert_true(task_start_held("queued", waiting_in_queue, &late.queued, &late.task));
    assert_true(task_start("waking", waking_then_cancelling, &late));
    loop_run();
    assert_int_equal(late.queued.result, WAIT_READY);
    task_release(&late.task);
    loop_destroy();
}

struct joining {
    struct task *task;
    enum wait_result early, normal, after;
};

static void short_life(void *argument) {
    (void)argument;
    task_sleep(30);
}

static void joining(void *argument) {
    struct joining *joining = argument;

    joining->early = task_join(joining->task, deadline_in(5));
    joining->normal = task_join(joining->task, deadline_in(5000));
    joining->after = task_join(joining->task, deadline_in(0));
}

static void test_join(void **state) {
    struct joining two[2];
    struct task *task;

    (void)state;
    start_loop(NULL);
    assert_true(task_start_held("short", short_life, NULL, &task));
    for (int i = 0; i < 2; i++) {
        two[i] = (struct joining){.task = task};
        assert_true(task_start("joining", joining, &two[i]));
    }
    loop_run();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(two[i].early, WAIT_TIMEOUT);
        assert_int_equal(two[i].normal, WAIT_READY);
        assert_int_equal(two[i].after, WAIT_READY);
    }
    task_release(&task);
    assert_null(task);
    loop_destroy();
}

/* ---- blocking calls */

struct call {
    int input, output;
    pthread_t thread;
    int *running, *most;
};

static pthread_mutex_t call_lock = PTHREAD_MUTEX_INITIALIZER;

static void working(void *argument) {
    struct call *call = argument;

    pthread_mutex_lock(&call_lock);
    if (++*call->running > *call->most) *call->most = *call->running;
    pthread_mutex_unlock(&call_lock);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    pthread_mutex_lock(&call_lock);
    --*call->running;
    pthread_mutex_unlock(&call_lock);
    call->output = call->input * 2;
    call->thread = pthread_self();
}

static size_t greatest_backlog;

static void calling(void *argument) {
    struct call *call = argument;

    for (int i = 0; i < 3; i++) {
        task_run_blocking(working, call);
        if (task_blocking_backlog() > greatest_backlog) greatest_backlog = task_blocking_backlog();
    }
}

static void test_blocking(void **state) {
    enum { CALLS = 100 };
    static struct call calls[CALLS];
    int running = 0, most = 0;
    deadline before = clock_monotonic();

    (void)state;
    start_loop(&(struct loop_options){.blocking_threads = 4});
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (struct call){.input = i, .running = &running, .most = &most};
        assert_true(task_start("calling", calling, &calls[i]));
    }
    loop_run();
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].output, 2 * i);
        assert_false(pthread_equal(calls[i].thread, pthread_self()));
    }
    assert_int_equal(most, 4);
    assert_true(greatest_backlog > 0);
    assert_int_equal(task_blocking_backlog(), 0);
    assert_true(clock_monotonic() - before >= 3 * CALLS * 2 / 4);
    loop_destroy();
    working(&calls[0]);
    task_run_blocking(working, &calls[5]); /* outside any task: simply called */
    assert_true(pthread_equal(calls[5].thread, pthread_self()));
}

/* ---- watches, timers, signals */

struct outside {
    struct loop_watch *watch;
    struct loop_timer *timer, *once;
    int watched, ticks, fired, signals;
    int other;
};

static void readable(int descriptor, void *argument) {
    struct outside *outside = argument;
    char c;

    if (task_current() || read(descriptor, &c, 1) != 1) abort();
    outside->watched++;
}

static void tick(void *argument) {
    struct outside *outside = argument;

    if (write(outside->other, "x", 1) != 1) abort();
    outside->ticks++;
    if (outside->ticks == 3) loop_watch_pause(outside->watch, true);
    if (outside->ticks == 4) raise(SIGUSR1);
    if (outside->ticks == 5) loop_watch_pause(outside->watch, false);
    if (outside->ticks == 8) loop_stop();
}

static void once(void *argument) {
    struct outside *outside = argument;

    outside->fired++;
    loop_timer_stop(&outside->once);
}

static void on_signal(int signal_number, void *argument) {
    struct outside *outside = argument;

    if (signal_number == SIGUSR1) outside->signals++;
}

static void test_outside(void **state) {
    struct outside outside = {0};
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    start_loop(NULL);
    outside.other = pair[1];
    outside.watch = loop_watch_readable(pair[0], readable, &outside);
    outside.timer = loop_timer_start(5, 5, tick, &outside);
    outside.once = loop_timer_start(12, 0, once, &outside);
    loop_on_signal(SIGUSR1, on_signal, &outside);
    loop_run();
    assert_int_equal(outside.ticks, 8);
    assert_true(outside.watched >= 6 && outside.watched <= 8);
    assert_int_equal(outside.fired, 1);
    assert_null(outside.once);
    assert_int_equal(outside.signals, 1);
    loop_watch_stop(&outside.watch);
    loop_timer_stop(&outside.timer);
    assert_null(outside.watch);
    assert_null(outside.timer);
    loop_run(); /* nothing is left: returns at once */
    loop_destroy();
    close(pair[0]);
    close(pair[1]);
}

/* ---- memory */

static volatile char sink;

__attribute__((noinline)) static char overflowing(int levels) {
    volatile char here[1024];

    here[levels & 1023] = (char)levels;
    sink = here[(levels + 1) & 1023];
    if (levels < 0) return 0;
    return (char)(overflowing(levels + 1) + here[levels & 1023]);
}

static void overflow(void *argument) {
    (void)argument;
    sink = overflowing(0);
}

static void test_guard_page(void **state) {
    struct failure failure;
    pid_t child;
    int status;

    (void)state;
#ifdef TERN_SANITIZERS
    skip(); /* AddressSanitizer reports the overflow in its own way */
#endif
    if (RUNNING_ON_VALGRIND) skip();
    child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGSEGV, SIG_DFL);
        if (!loop_create(NULL, &failure)) _exit(1);
        if (!task_start("before", short_life, NULL) || !task_start("overflow", overflow, NULL)) _exit(1);
        loop_run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static uintptr_t stack_seen;

__attribute__((noinline)) static void touch_much(void) {
    volatile char much[100000];

    for (size_t i = 0; i < sizeof(much); i += 1000) much[i] = 1;
    sink = much[500];
    stack_seen = (uintptr_t)much;
}

/* Resident pages of the 100,000 bytes that were touched. */
static int resident_pages(void) {
    unsigned char pages[23];
    uintptr_t start = (stack_seen + 4095) & ~(uintptr_t)4095;
    int count = 0;

    if (mincore((void *)start, sizeof(pages) * 4096, pages) != 0) return -1;
    for (size_t i = 0; i < sizeof(pages); i++) count += pages[i] & 1;
    return count;
}

struct pages {
    int64_t rest;
    int before, during, after;
};

static void using_much(void *argument) {
    struct pages *pages = argument;

    touch_much();
    pages->before = resident_pages();
    task_sleep(pages->rest);
}

static void looking(void *argument) {
    struct pages *pages = argument;

    task_sleep(300);
    pages->during = resident_pages();
}

static void test_memory_goes_back(void **state) {
    struct pages waiting = {.rest = 400}, ended = {.rest = 0};

    (void)state;
#if defined(TERN_SANITIZERS) || !defined(CONTEXT_NATIVE)
    skip();
#endif
    if (RUNNING_ON_VALGRIND || sysconf(_SC_PAGESIZE) != 4096) skip();
    start_loop(&(struct loop_options){.trim_after = 100});
    assert_true(task_start("using", using_much, &waiting));
    assert_true(task_start("looking", looking, &waiting));
    loop_run();
    assert_int_equal(waiting.before, 23);
    assert_int_equal(waiting.during, 0);
    /* The same for a stack that lies free meanwhile. */
    assert_true(task_start("looking", looking, &ended));
    assert_true(task_start("using", using_much, &ended));
    loop_run();
    assert_int_equal(ended.before, 23);
    assert_int_equal(ended.during, 0);
    loop_destroy();
}

static void test_no_stack_is_an_answer(void **state) {
    struct rlimit old, tight;
    int done = 0, started = 0;

    (void)state;
#ifdef TERN_SANITIZERS
    skip();
#endif
    if (RUNNING_ON_VALGRIND) skip();
    start_loop(NULL);
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    tight = (struct rlimit){200 << 20, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    while (started < 10000 && task_start("deep", going_deep, &done)) started++;
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_true(started > 10 && started < 10000);
    loop_run();
    assert_int_equal(done, started);
    loop_destroy();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switching_takes_turns),
        cmocka_unit_test(test_floating_point_control),
        cmocka_unit_test(test_ten_thousand),
        cmocka_unit_test(test_stack_left),
        cmocka_unit_test(test_current),
        cmocka_unit_test(test_deadlines_in_order),
        cmocka_unit_test(test_many_deadlines),
        cmocka_unit_test(test_shifting_deadlines),
        cmocka_unit_test(test_descriptors_echo),
        cmocka_unit_test(test_number_used_again),
        cmocka_unit_test(test_writable),
        cmocka_unit_test(test_no_descriptor),
        cmocka_unit_test(test_outside_tasks),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_destroy_cancels),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_wake_is_not_lost),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_blocking),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_guard_page),
        cmocka_unit_test(test_memory_goes_back),
        cmocka_unit_test(test_no_stack_is_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
