/* front_still_here: who is told when, those who leave meanwhile, those who come while others are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "front_still_here.h"
#include "task.h"

#define INTERVAL 200 /* ms; the time comes at a whole second */

struct client {
    struct front_hearer hearer;
    unsigned told;
    deadline joined, first;
};

static struct client clients[5];
static unsigned all_told, stop_at;
static struct front_still_here *still_here;

static void join(struct client *client) {
    client->joined = clock_monotonic();
    front_still_here_join(still_here, &client->hearer);
}

static void tell(struct front_hearer *hearer) {
    struct client *client = (struct client *)(void *)hearer;
    if (client->told++ == 0) client->first = clock_monotonic();
    if (++all_told == stop_at) loop_stop();
}

static int begin(void **state) {
    struct failure failure = {0};
    (void)state;
    memset(clients, 0, sizeof clients);
    all_told = 0;
    still_here = NULL;
    return loop_create(NULL, &failure) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    front_still_here_free(&still_here);
    loop_destroy();
    return 0;
}

static void give_up(void *unused) {
    (void)unused;
    task_sleep(30000);
    loop_stop();
}

static void run_until(unsigned told) {
    stop_at = told;
    assert_true(task_start("give up", give_up, NULL));
    loop_run();
}

static void test_everybody(void **state) {
    (void)state;
    still_here = front_still_here_create(INTERVAL, tell);
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        join(&clients[i]);
    run_until(2 * ARRAY_LENGTH(clients));
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++) {
        assert_int_equal(clients[i].told, 2);
        assert_true(clients[i].first - clients[i].joined >= INTERVAL);
    }
}

static void test_leaving(void **state) {
    (void)state;
    still_here = front_still_here_create(INTERVAL, tell);
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        join(&clients[i]);
    front_still_here_leave(still_here, &clients[0].hearer); /* the first, the last, and one between */
    front_still_here_leave(still_here, &clients[2].hearer);
    front_still_here_leave(still_here, &clients[4].hearer);
    front_still_here_leave(still_here, &clients[4].hearer);
    join(&clients[2]);
    run_until(6);
    static const unsigned told[] = {0, 2, 2, 2, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        assert_int_equal(clients[i].told, told[i]);
    for (size_t i = 1; i < 4; i++)
        front_still_here_leave(still_here, &clients[i].hearer);
    join(&clients[0]); /* after it was empty */
    run_until(7);
    assert_int_equal(clients[0].told, 1);
}

static void stop_soon(void *unused) {
    (void)unused;
    task_sleep(1500);
    loop_stop();
}

static void test_never(void **state) {
    (void)state;
    still_here = front_still_here_create(0, tell);
    join(&clients[0]);
    front_still_here_leave(still_here, &clients[0].hearer);
    join(&clients[1]);
    assert_true(task_start("stop", stop_soon, NULL));
    loop_run();
    assert_int_equal(all_told, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_everybody, begin, end),
                                       cmocka_unit_test_setup_teardown(test_leaving, begin, end),
                                       cmocka_unit_test_setup_teardown(test_never, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
