/* tls_sessions: one use each, bounds, age. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "memory.h"
#include "tls_sessions.h"
#include <time.h>

static bool take_is(struct tls_sessions *sessions, const char *name, const char *wanted) {
    struct buf session = buf_make(0);
    bool found = tls_sessions_take(sessions, str_from(name), &session);
    bool good = found ? wanted && strcmp(buf_string(&session), wanted) == 0 : !wanted;
    buf_free(&session);
    return good;
}

static void test_one_use(void **state) {
    (void)state;
    struct tls_sessions *sessions = tls_sessions_create(10, 60000);
    assert_true(take_is(sessions, "a", NULL));
    tls_sessions_put(sessions, STR("a"), STR("1"));
    tls_sessions_put(sessions, STR("b"), STR("2"));
    tls_sessions_put(sessions, STR("a"), STR("3"));
    tls_sessions_put(sessions, STR("a"), STR_EMPTY);
    assert_int_equal(tls_sessions_count(sessions), 3);
    assert_true(take_is(sessions, "a", "3"));
    assert_true(take_is(sessions, "a", "1"));
    assert_true(take_is(sessions, "a", NULL));
    assert_true(take_is(sessions, "b", "2"));
    assert_int_equal(tls_sessions_count(sessions), 0);
    tls_sessions_put(sessions, STR("c"), STR("left behind"));
    tls_sessions_destroy(&sessions);
    assert_null(sessions);
}

/* Of one name only the newest few, of all only the newest limit. */
static void test_bounds(void **state) {
    (void)state;
    struct tls_sessions *sessions = tls_sessions_create(12, 60000);
    char text[16];
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "s%d", i);
        tls_sessions_put(sessions, STR("a"), str_from(text));
        assert_true(tls_sessions_count(sessions) <= TLS_SESSIONS_OF_ONE);
    }
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "n%d", i);
        tls_sessions_put(sessions, str_from(text), STR("x"));
        assert_true(tls_sessions_count(sessions) <= 12);
    }
    assert_true(take_is(sessions, "a", NULL));
    assert_true(take_is(sessions, "n17", NULL));
    assert_true(take_is(sessions, "n18", "x"));
    assert_true(take_is(sessions, "n29", "x"));
    tls_sessions_destroy(&sessions);
    sessions = tls_sessions_create(0, 60000);
    tls_sessions_put(sessions, STR("a"), STR("1"));
    assert_true(take_is(sessions, "a", NULL));
    tls_sessions_destroy(&sessions);
}

static void test_age(void **state) {
    (void)state;
    struct tls_sessions *sessions = tls_sessions_create(10, 5);
    tls_sessions_put(sessions, STR("a"), STR("1"));
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_true(take_is(sessions, "a", NULL));
    assert_int_equal(tls_sessions_count(sessions), 0);
    tls_sessions_destroy(&sessions);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_use),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
