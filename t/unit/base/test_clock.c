/* Tests of the clocks: order and saturation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "clock.h"
#include <time.h>

static void deadlines(void **state) {
    (void)state;
    deadline now = clock_monotonic();
    assert_true(now >= 0 && clock_monotonic() >= now);
    assert_true(deadline_in(INT64_MAX) == DEADLINE_NEVER);
    assert_true(deadline_left(DEADLINE_NEVER) == INT64_MAX);
    assert_true(deadline_in(1000) >= now + 1000);
    int64_t left = deadline_left(deadline_in(100000));
    assert_true(left > 90000 && left <= 100000);
    static const int64_t none[] = {0, -1, INT64_MIN};
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
        assert_int_equal(deadline_left(deadline_in(none[i])), 0);
    assert_int_equal(deadline_left(0), 0);
    assert_int_equal(deadline_left(INT64_MIN), 0);
}

static void date(void **state) {
    (void)state;
    int64_t before = (int64_t)time(NULL);
    int64_t now = clock_date();
    /* time() may lag by a tick of the kernel. */
    assert_true(now / CLOCK_SECOND >= before && now / CLOCK_SECOND <= (int64_t)time(NULL) + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(deadlines), cmocka_unit_test(date)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
