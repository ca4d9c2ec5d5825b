/* Unit table of lib/queue/login_usage: windows that slide, limits, the brake, overrides, the file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "login_usage.h"

#define NOW INT64_C(1795439283)

static struct login_usage make(uint64_t messages, uint64_t recipients, uint64_t bytes) {
    return (struct login_usage){
        .limits = {.most = {messages, recipients, bytes}, .window = 3600, .brake = {20, 5, 3}, .brake_window = 600},
        .begun = NOW,
        .brake_begun = NOW};
}

static enum login_verdict judge(const struct login_usage *usage, uint64_t recipients, uint64_t bytes, int64_t when) {
    enum login_counter over = LOGIN_COUNTERS;
    const struct login_event event = {.messages = 1, .recipients = recipients, .bytes = bytes};
    return login_usage_judge(usage, &event, when, &over);
}

static bool add(struct login_usage *usage, uint64_t recipients, int64_t when) {
    const struct login_event event = {.messages = 1, .recipients = recipients, .bytes = 1000};
    return login_usage_add(usage, &event, when);
}

static void test_limits(void **state) {
    (void)state;
    struct login_usage usage = make(3, 10, 100000);
    usage.limits.brake[LOGIN_SUDDEN] = 0;
    assert_int_equal(judge(&usage, 10, 100000, NOW), LOGIN_GO);
    assert_int_equal(judge(&usage, 11, 1, NOW), LOGIN_NEVER);
    assert_int_equal(judge(&usage, 1, 100001, NOW), LOGIN_NEVER);
    assert_false(add(&usage, 8, NOW));
    assert_int_equal(judge(&usage, 2, 1, NOW), LOGIN_GO);
    assert_int_equal(judge(&usage, 3, 1, NOW), LOGIN_LATER);
    assert_int_equal(judge(&usage, 1, 99001, NOW), LOGIN_LATER);
    assert_false(add(&usage, 1, NOW + 1));
    assert_false(add(&usage, 1, NOW + 2));
    assert_int_equal(judge(&usage, 1, 1, NOW + 3), LOGIN_LATER); /* a fourth message */
    struct login_usage none = make(0, 0, 0);
    none.limits.brake[LOGIN_SUDDEN] = 0;
    assert_int_equal(judge(&none, 1000000, UINT32_MAX, NOW), LOGIN_GO);
}

/* The count goes down gradually, and is gone two windows later; a clock that was set back begins anew. */
static void test_windows_slide(void **state) {
    (void)state;
    static const struct {
        int64_t later;
        uint64_t count;
    } rows[] = {{0, 100},          {3599, 100}, {3600, 100}, {3600 + 900, 75},
                {3600 + 1800, 50}, {7199, 0},   {7200, 0},   {-10, 0}};
    struct login_usage usage = make(0, 1000, 0);
    usage.limits.brake[LOGIN_SUDDEN] = 0;
    add(&usage, 100, NOW);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint64_t count = login_usage_count(&usage, LOGIN_RECIPIENTS, NOW + rows[i].later);
        if (count != rows[i].count) fail_msg("row %zu: %llu", i, (unsigned long long)count);
    }
    add(&usage, 10, NOW + 3600 + 1800);
    assert_int_equal(login_usage_count(&usage, LOGIN_RECIPIENTS, NOW + 3600 + 1800), 60);
    assert_int_equal(usage.begun, NOW + 3600);
}

static void test_brake(void **state) {
    (void)state;
    static const struct {
        struct login_event event;
        unsigned times; /* until the brake comes on */
        const char *reason;
    } rows[] = {
        {{.messages = 1, .recipients = 7}, 3, "21 recipients were sent to within 10 minutes"},
        {{.rejected = 1}, 6, "6 recipients were refused within 10 minutes"},
        {{.bounced = 2}, 2, "4 recipients bounced within 10 minutes"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct login_usage usage = make(0, 0, 0);
        for (unsigned time = 1; time <= rows[i].times; time++)
            if (login_usage_add(&usage, &rows[i].event, NOW + time) != (time == rows[i].times)) fail_msg("row %zu", i);
        assert_string_equal(usage.reason, rows[i].reason);
        assert_false(login_usage_add(&usage, &rows[i].event, NOW + 10));  /* it is told once */
        assert_int_equal(judge(&usage, 1, 1, NOW + 1000000), LOGIN_HOLD); /* and stays until it is lifted */
        assert_false(login_usage_is_idle(&usage, NOW + 1000000));
        login_usage_lift(&usage);
        assert_int_equal(judge(&usage, 1, 1, NOW + 11), LOGIN_GO);
        assert_string_equal(usage.reason, "");
        assert_true(login_usage_is_idle(&usage, NOW + 1000000));
    }
    /* Slowly is not suddenly. */
    struct login_usage slow = make(0, 0, 0);
    for (int64_t hour = 0; hour < 50; hour++)
        assert_false(add(&slow, 15, NOW + hour * 3600));
}

static void test_overrides(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t most[LOGIN_COUNTERS], brake[LOGIN_SIGNS];
    } rows[] = {
        {"", true, {1, 2, 3}, {20, 5, 3}},
        {"messages=100 bytes=7", true, {100, 2, 7}, {20, 5, 3}},
        {"unlimited", true, {0, 0, 0}, {0, 0, 0}},
        {"unlimited, rejected=9", true, {0, 0, 0}, {0, 9, 0}},
        {"sudden=1 bounced=0 RECIPIENTS=5", true, {1, 5, 3}, {1, 5, 0}},
        {"messages", false, {1, 2, 3}, {20, 5, 3}},
        {"messages=many", false, {1, 2, 3}, {20, 5, 3}},
        {"letters=1", false, {1, 2, 3}, {20, 5, 3}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct login_limits limits = make(1, 2, 3).limits;
        struct str bad;
        if (login_limits_parse(str_from(rows[i].text), &limits, &bad) != rows[i].good ||
            memcmp(limits.most, rows[i].most, sizeof limits.most) != 0 ||
            memcmp(limits.brake, rows[i].brake, sizeof limits.brake) != 0)
            fail_msg("%s", rows[i].text);
    }
}

static void test_times(void **state) {
    (void)state;
    static const struct {
        int64_t seconds;
        const char *words;
    } rows[] = {{1, "1 second"},      {90, "90 seconds"}, {60, "1 minute"},   {3600, "1 hour"},
                {5400, "90 minutes"}, {86400, "1 day"},   {172800, "2 days"}, {90000, "25 hours"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = buf_make(0);
        login_append_time(&out, rows[i].seconds);
        assert_string_equal(buf_string(&out), rows[i].words);
        buf_free(&out);
    }
}

static void test_file(void **state) {
    (void)state;
    struct buf file = buf_make(0);
    struct login_usage ann = make(3, 10, 100000), bob = make(0, 0, 0), read;
    struct str rest, login;
    add(&ann, 4, NOW);
    login_usage_hold(&bob, STR("by hand"), NOW);
    assert_true(login_usage_pack(&file, STR("ann@x.test"), &ann) && login_usage_pack(&file, STR("bob"), &bob));
    rest = buf_str(&file);
    assert_true(login_usage_next(&rest, &login, &read));
    assert_true(str_equal(login, STR("ann@x.test")));
    assert_memory_equal(&read, &ann, offsetof(struct login_usage, reason));
    assert_true(login_usage_next(&rest, &login, &read));
    assert_true(str_equal(login, STR("bob")) && read.held == NOW);
    assert_string_equal(read.reason, "by hand");
    assert_false(login_usage_next(&rest, &login, &read));
    assert_int_equal(rest.length, 0);
    for (size_t cut = 0; cut < file.length / 2; cut++) { /* cut anywhere: what is whole before is read, no more */
        rest = str_slice(buf_str(&file), 0, cut);
        assert_false(login_usage_next(&rest, &login, &read));
    }
    buf_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_windows_slide), cmocka_unit_test(test_brake),
        cmocka_unit_test(test_overrides), cmocka_unit_test(test_times),         cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
