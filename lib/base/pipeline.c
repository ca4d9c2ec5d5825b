/* See pipeline.h. Jobs are numbered as they are handed in: those from `first` on are not released, those from `next` on
 * not begun, `last` is the next to come. */
#include "pipeline.h"

#include <pthread.h>
#include <stdint.h>

#include "helper_thread.h"
#include "memory.h"

#define NOTHING UINT64_MAX

struct pipeline {
    struct pipeline_kind kind;
    unsigned jobs, thread_count;
    char *job_memory, *scratch_memory; /* a scratch for each thread, and the last for the owner */
    pthread_t *threads;
    uint64_t first; /* the owner's alone */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    /* under the lock */
    uint64_t next, last;
    bool *finished; /* by place in the ring */
    unsigned idle, begun_threads;
    uint64_t awaited; /* the job that the owner waits for; NOTHING */
    bool ending;
};

static void *job_at(const struct pipeline *pipeline, uint64_t number) {
    return pipeline->job_memory + number % pipeline->jobs * pipeline->kind.job_size;
}

static void *scratch_at(const struct pipeline *pipeline, unsigned thread) {
    return pipeline->scratch_memory + thread * pipeline->kind.scratch_size;
}

static void *helper(void *argument) {
    struct pipeline *pipeline = argument;
    pthread_mutex_lock(&pipeline->lock);
    void *scratch = scratch_at(pipeline, pipeline->begun_threads++);
    for (;;) {
        while (pipeline->next == pipeline->last && !pipeline->ending) {
            pipeline->idle++;
            pthread_cond_wait(&pipeline->work, &pipeline->lock);
            pipeline->idle--;
        }
        if (pipeline->ending) break;
        uint64_t number = pipeline->next++;
        pthread_mutex_unlock(&pipeline->lock);
        pipeline->kind.work(job_at(pipeline, number), scratch);
        pthread_mutex_lock(&pipeline->lock);
        pipeline->finished[number % pipeline->jobs] = true;
        if (pipeline->awaited == number) pthread_cond_signal(&pipeline->done);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return NULL;
}

struct pipeline *pipeline_create(const struct pipeline_kind *kind, unsigned threads, unsigned jobs) {
    struct pipeline *pipeline = MEMORY_NEW(struct pipeline);
    pipeline->kind = *kind;
    pipeline->jobs = jobs;
    pipeline->awaited = NOTHING;
    pipeline->job_memory = memory_allocate(jobs, kind->job_size);
    pipeline->scratch_memory = memory_allocate((size_t)threads + 1, kind->scratch_size);
    pipeline->threads = memory_allocate((size_t)threads + 1, sizeof *pipeline->threads);
    pipeline->finished = memory_allocate(jobs, sizeof *pipeline->finished);
    pthread_mutex_init(&pipeline->lock, NULL);
    pthread_cond_init(&pipeline->work, NULL);
    pthread_cond_init(&pipeline->done, NULL);
    while (pipeline->thread_count < threads &&
           helper_thread_start(&pipeline->threads[pipeline->thread_count], helper, pipeline))
        pipeline->thread_count++;
    return pipeline;
}

static void end_threads(struct pipeline *pipeline) {
    pthread_mutex_lock(&pipeline->lock);
    pipeline->ending = true;
    pthread_cond_broadcast(&pipeline->work);
    pthread_mutex_unlock(&pipeline->lock);
    for (unsigned i = 0; i < pipeline->thread_count; i++)
        pthread_join(pipeline->threads[i], NULL);
    pthread_cond_destroy(&pipeline->work);
    pthread_cond_destroy(&pipeline->done);
    pthread_mutex_destroy(&pipeline->lock);
}

void pipeline_destroy(struct pipeline **pipeline) {
    struct pipeline *gone = *pipeline;
    if (!gone) return;
    end_threads(gone);
    for (unsigned i = 0; i < gone->jobs; i++)
        gone->kind.free_job(job_at(gone, i));
    for (unsigned i = 0; i < gone->thread_count; i++)
        gone->kind.free_scratch(scratch_at(gone, i));
    gone->kind.free_scratch(scratch_at(gone, gone->thread_count));
    MEMORY_FREE(gone->job_memory);
    MEMORY_FREE(gone->scratch_memory);
    MEMORY_FREE(gone->threads);
    MEMORY_FREE(gone->finished);
    MEMORY_FREE(*pipeline);
}

unsigned pipeline_count(const struct pipeline *pipeline) {
    return (unsigned)(pipeline->last - pipeline->first); /* nobody but the owner changes either */
}

void *pipeline_vacant(struct pipeline *pipeline) {
    return pipeline_count(pipeline) < pipeline->jobs ? job_at(pipeline, pipeline->last) : NULL;
}

const void *pipeline_oldest(const struct pipeline *pipeline) {
    return pipeline_count(pipeline) > 0 ? job_at(pipeline, pipeline->first) : NULL;
}

void pipeline_hand_in(struct pipeline *pipeline) {
    pthread_mutex_lock(&pipeline->lock);
    pipeline->finished[pipeline->last % pipeline->jobs] = false;
    pipeline->last++;
    if (pipeline->idle > 0) pthread_cond_signal(&pipeline->work);
    pthread_mutex_unlock(&pipeline->lock);
}

void *pipeline_take(struct pipeline *pipeline) {
    if (pipeline_count(pipeline) == 0) return NULL;
    size_t place = pipeline->first % pipeline->jobs;
    void *job = job_at(pipeline, pipeline->first);
    pthread_mutex_lock(&pipeline->lock);
    bool own = pipeline->next == pipeline->first;
    if (own) pipeline->next++;
    if (!own) pipeline->awaited = pipeline->first;
    while (!own && !pipeline->finished[place])
        pthread_cond_wait(&pipeline->done, &pipeline->lock);
    pipeline->awaited = NOTHING;
    if (own) pipeline->finished[place] = true;
    pthread_mutex_unlock(&pipeline->lock);
    if (own) pipeline->kind.work(job, scratch_at(pipeline, pipeline->thread_count));
    return job;
}

void pipeline_release(struct pipeline *pipeline) {
    pipeline->first++;
}
