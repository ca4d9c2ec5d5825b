/* Jobs in a pipeline: done once each, taken in order, with any number of threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "memory.h"
#include "pipeline.h"

struct work_job {
    uint32_t number, done, slow;
    uint64_t result;
    char *text;
};

struct work_scratch {
    uint64_t jobs;
    char *room;
};

static void work(void *at, void *scratch_at) {
    struct work_job *job = at;
    struct work_scratch *scratch = scratch_at;
    if (!scratch->room) scratch->room = memory_allocate(1, 100);
    if (!job->text) job->text = memory_allocate(1, 100);
    for (uint32_t i = 0; i < job->slow; i++)
        sched_yield();
    scratch->jobs++;
    scratch->room[job->number % 100] ^= 1;
    job->text[job->number % 100] ^= 1;
    job->result = (uint64_t)job->number * job->number;
    job->done++;
}

static void free_job(void *at) {
    MEMORY_FREE(((struct work_job *)at)->text);
}

static void free_scratch(void *at) {
    MEMORY_FREE(((struct work_scratch *)at)->room);
}

static const struct pipeline_kind kind = {sizeof(struct work_job), sizeof(struct work_scratch), work, free_job,
                                          free_scratch};

static bool give(struct pipeline *pipeline, uint32_t number) {
    struct work_job *job = pipeline_vacant(pipeline);
    if (!job) return false;
    job->number = number;
    job->done = 0;
    job->slow = number % 7 == 0 ? number % 50 : 0;
    pipeline_hand_in(pipeline);
    return true;
}

static void check_order(unsigned threads, unsigned jobs) {
    struct pipeline *pipeline = pipeline_create(&kind, threads, jobs);
    uint32_t given = 0, taken = 0;
    assert_null(pipeline_take(pipeline));
    assert_null(pipeline_oldest(pipeline));
    while (taken < 3000) {
        while (given < 3000 && give(pipeline, given))
            given++;
        assert_int_equal(pipeline_count(pipeline), given - taken);
        assert_true(given == 3000 || pipeline_count(pipeline) == jobs);
        const struct work_job *oldest = pipeline_oldest(pipeline);
        assert_int_equal(oldest->number, taken);
        struct work_job *job = pipeline_take(pipeline);
        assert_ptr_equal(job, oldest);
        assert_ptr_equal(job, pipeline_take(pipeline));
        assert_int_equal(job->done, 1);
        assert_int_equal(job->result, (uint64_t)taken * taken);
        pipeline_release(pipeline);
        taken++;
    }
    assert_null(pipeline_take(pipeline));
    pipeline_destroy(&pipeline);
    assert_null(pipeline);
}

static void test_order(void **state) {
    (void)state;
    for (unsigned threads = 0; threads <= 4; threads++)
        for (unsigned jobs = 1; jobs <= 16; jobs *= 4)
            check_order(threads, jobs);
}

/* Ended with jobs in every state. */
static void test_ending(void **state) {
    (void)state;
    for (uint32_t turn = 0; turn < 200; turn++) {
        struct pipeline *pipeline = pipeline_create(&kind, turn % 4, 8);
        for (uint32_t number = 0; number < turn % 9; number++)
            assert_true(give(pipeline, number * 7));
        for (uint32_t number = 0; number < turn % 3 && number < turn % 9; number++) {
            assert_non_null(pipeline_take(pipeline));
            pipeline_release(pipeline);
        }
        pipeline_destroy(&pipeline);
    }
    struct pipeline *none = NULL;
    pipeline_destroy(&none);
}

/* Without a thread the owner does it all, in order, when it takes. */
static void test_no_thread(void **state) {
    (void)state;
    struct pipeline *pipeline = pipeline_create(&kind, 0, 4);
    assert_true(give(pipeline, 3) && give(pipeline, 4));
    assert_int_equal(((const struct work_job *)pipeline_oldest(pipeline))->done, 0);
    assert_int_equal(((struct work_job *)pipeline_take(pipeline))->result, 9);
    pipeline_release(pipeline);
    assert_int_equal(((struct work_job *)pipeline_take(pipeline))->result, 16);
    pipeline_destroy(&pipeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_ending),
                                       cmocka_unit_test(test_no_thread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
