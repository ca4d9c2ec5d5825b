/* front_limits: who counts as one client, who is not counted, and that all comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "front_limits.h"

static struct front_limits *make(int64_t limit, const char *exceptions) {
    struct front_limits *limits = NULL;
    struct failure failure = {0};
    assert_true(front_limits_create(limit, str_from(exceptions), &limits, &failure));
    return limits;
}

static const struct {
    const char *first, *second;
    bool one; /* client */
} pairs[] = {
    {"192.0.2.1", "192.0.2.1", true},          {"192.0.2.1", "192.0.2.2", false},
    {"192.0.2.1", "::ffff:192.0.2.1", true},   {"2001:db8::1", "2001:db8::2:3:4:5", true},
    {"2001:db8::1", "2001:db8:0:1::1", false}, {"32.1.13.184", "2001:db8::1", false},
};

static void clients(void **unused) {
    (void)unused;
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        struct front_limits *limits = make(1, "");
        struct front_client_key first, second;
        uint64_t count = 0;
        assert_true(front_limits_enter(limits, str_from(pairs[i].first), &first, &count));
        assert_int_equal(front_limits_enter(limits, str_from(pairs[i].second), &second, &count), !pairs[i].one);
        assert_int_equal(count, pairs[i].one ? 2 : 0);
        front_limits_leave(limits, &second);
        front_limits_leave(limits, &first);
        front_limits_leave(limits, &first);
        assert_true(front_limits_enter(limits, str_from(pairs[i].second), &second, &count));
        front_limits_leave(limits, &second);
        front_limits_free(&limits);
    }
}

static void exceptions(void **unused) {
    (void)unused;
    static const char *const free_ones[] = {"127.0.0.1",   "127.255.0.9", "::1", "198.51.100.7",
                                            "2001:db8::5", "no address",  ""};
    struct front_limits *limits = make(1, "127.0.0.0/8, [::1]/128 198.51.100.7,2001:db8::/32");
    struct front_client_key key;
    uint64_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(free_ones); i++)
        for (unsigned j = 0; j < 3; j++)
            assert_true(front_limits_enter(limits, str_from(free_ones[i]), &key, &count));
    assert_true(front_limits_enter(limits, STR("198.51.100.8"), &key, &count));
    assert_false(front_limits_enter(limits, STR("198.51.100.8"), &key, &count));
    assert_int_equal(key.length, 0);
    front_limits_free(&limits);
}

static void no_limit(void **unused) {
    (void)unused;
    struct front_limits *limits = make(0, "");
    struct front_client_key key;
    uint64_t count = 0;
    for (unsigned j = 0; j < 1000; j++)
        assert_true(front_limits_enter(limits, STR("192.0.2.1"), &key, &count));
    front_limits_free(&limits);
}

static void malformed(void **unused) {
    (void)unused;
    struct front_limits *limits = NULL;
    struct failure failure = {0};
    assert_false(front_limits_create(1, STR("127.0.0.1 example.test"), &limits, &failure));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients),
        cmocka_unit_test(exceptions),
        cmocka_unit_test(no_limit),
        cmocka_unit_test(malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
