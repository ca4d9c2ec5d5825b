/* Blocking calls: a few helper threads, started when they are wanted.
 *
 * A job lives on the stack of the task that waits for it. The lists are under
 * one lock; a thread that finishes jobs wakes the loop through libev's async
 * watcher (one eventfd write however many jobs end before the loop looks). */
#include <pthread.h>

#include "helper_thread.h"
#include "loop_internal.h"
#include "memory.h"

struct job {
    struct job *next;
    void (*function)(void *argument);
    void *argument;
    struct task *task;
};

struct blocking_pool {
    ev_async wake;
    struct ev_loop *ev;
    pthread_mutex_t lock;
    pthread_cond_t work;
    /* under the lock */
    struct job *first, *last; /* waiting for a thread */
    struct job *done;
    size_t backlog;
    unsigned idle;
    bool ending;
    /* the loop's own */
    pthread_t *threads;
    unsigned thread_count;
};

static void *helper(void *argument) {
    struct blocking_pool *pool = argument;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct job *job;
        while (!pool->first && !pool->ending) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        job = pool->first;
        if (!job) break;
        pool->first = job->next;
        if (!pool->first) pool->last = NULL;
        pool->backlog--;
        pthread_mutex_unlock(&pool->lock);
        job->function(job->argument);
        pthread_mutex_lock(&pool->lock);
        job->next = pool->done;
        pool->done = job;
        if (!job->next) ev_async_send(pool->ev, &pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void jobs_done(struct ev_loop *ev, ev_async *async, int events) {
    struct blocking_pool *pool = (struct blocking_pool *)async->data;
    struct job *job, *ordered = NULL;

    (void)ev;
    (void)events;
    pthread_mutex_lock(&pool->lock);
    job = pool->done;
    pool->done = NULL;
    pthread_mutex_unlock(&pool->lock);
    while (job) { /* the list has the last one first */
        struct job *next = job->next;
        job->next = ordered;
        ordered = job;
        job = next;
    }
    for (job = ordered; job;) {
        struct job *next = job->next; /* gone once its task runs */
        task_wake(job->task, WAIT_READY);
        job = next;
    }
}

static struct blocking_pool *pool_of(struct loop *loop) {
    struct blocking_pool *pool = loop->blocking;

    if (pool) return pool;
    pool = MEMORY_NEW(struct blocking_pool);
    pool->ev = loop->ev;
    pool->threads = memory_allocate(loop->blocking_threads, sizeof(*pool->threads));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    ev_async_init(&pool->wake, jobs_done);
    pool->wake.data = pool;
    ev_async_start(loop->ev, &pool->wake);
    loop->blocking = pool;
    return pool;
}

static bool start_thread(struct blocking_pool *pool) {
    if (!helper_thread_start(&pool->threads[pool->thread_count], helper, pool)) return false;
    pool->thread_count++;
    return true;
}

void task_run_blocking(void (*function)(void *argument), void *argument) {
    struct loop *loop = loop_current();
    struct job job = {.function = function, .argument = argument, .task = task_current()};
    struct blocking_pool *pool;
    bool want_thread;

    if (!job.task) {
        function(argument);
        return;
    }
    pool = pool_of(loop);
    pthread_mutex_lock(&pool->lock);
    want_thread = pool->idle <= pool->backlog && pool->thread_count < loop->blocking_threads;
    pthread_mutex_unlock(&pool->lock);
    if (want_thread && !start_thread(pool) && pool->thread_count == 0) {
        function(argument); /* no thread to be had: slower, not wrong */
        return;
    }
    pthread_mutex_lock(&pool->lock);
    if (pool->last)
        pool->last->next = &job;
    else
        pool->first = &job;
    pool->last = &job;
    pool->backlog++;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    task_suspend_uninterruptible();
}

size_t task_blocking_backlog(void) {
    struct loop *loop = loop_current();
    size_t backlog;

    if (!loop || !loop->blocking) return 0;
    pthread_mutex_lock(&loop->blocking->lock);
    backlog = loop->blocking->backlog;
    pthread_mutex_unlock(&loop->blocking->lock);
    return backlog;
}

void blocking_pool_destroy(struct loop *loop) {
    struct blocking_pool *pool = loop->blocking;

    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++) pthread_join(pool->threads[i], NULL);
    ev_async_stop(loop->ev, &pool->wake);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    MEMORY_FREE(pool->threads);
    MEMORY_FREE(loop->blocking);
}
