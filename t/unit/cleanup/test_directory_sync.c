/* Shared directory syncs: one covers all who wait, and a failed one fails exactly those it covered. fsync is ours
 * here (the linker's --wrap). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <time.h>
#include "directory_sync.h"

int __wrap_fsync(int file);

static unsigned syncs, fail_at;
static struct directory_sync sync_state;

int __wrap_fsync(int file) {
    assert_int_equal(file, 77);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (++syncs != fail_at) return 0;
    errno = EIO;
    return -1;
}

struct change {
    int64_t when; /* ms */
    bool good, cancelled, ended;
    int error_number;
    struct task *task;
};

static void run_change(void *argument) {
    struct change *change = argument;
    if (change->when) task_sleep(change->when);
    change->good = directory_sync_wait(&sync_state, &change->error_number);
    change->ended = true;
}

static void play(struct change *changes, size_t count) {
    sync_state = (struct directory_sync){.directory = 77};
    syncs = 0;
    assert_true(loop_create(NULL, NULL));
    for (size_t i = 0; i < count; i++) {
        changes[i].ended = false;
        changes[i].error_number = 0;
        assert_true(task_start_held("change", run_change, &changes[i], &changes[i].task));
        if (changes[i].cancelled) task_cancel(changes[i].task);
    }
    loop_run();
    for (size_t i = 0; i < count; i++) {
        task_release(&changes[i].task);
        assert_true(changes[i].ended);
    }
    loop_destroy();
}

static void test_shared(void **state) {
    static struct change changes[200];
    (void)state;
    fail_at = 0;
    play(changes, 200);
    for (size_t i = 0; i < 200; i++)
        assert_true(changes[i].good);
    assert_int_equal(syncs, 2); /* the first one's own, and one for all who came meanwhile */
}

static void test_who_fails(void **state) {
    (void)state;
    /* The second of four syncs fails: those that came while the first ran, and nobody else. */
    struct change changes[] = {{.when = 0}, {.when = 5}, {.when = 5}, {.when = 10}, {.when = 30}, {.when = 80}};
    const bool good[] = {true, false, false, false, true, true};
    fail_at = 2;
    play(changes, ARRAY_LENGTH(changes));
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        if (changes[i].good != good[i]) fail_msg("change %zu", i);
        assert_int_equal(changes[i].error_number, good[i] ? 0 : EIO);
    }
    assert_int_equal(syncs, 4);
}

/* A task that is cancelled still learns what became of its change. */
static void test_cancelled(void **state) {
    (void)state;
    struct change changes[] = {{.when = 0}, {.cancelled = true}, {.cancelled = true}};
    fail_at = 0;
    play(changes, ARRAY_LENGTH(changes));
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++)
        assert_true(changes[i].good);
    assert_int_equal(syncs, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared), cmocka_unit_test(test_who_fails),
                                       cmocka_unit_test(test_cancelled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
