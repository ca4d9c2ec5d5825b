/* Unit table of lib/mail/envelope_wish. */
#include "expect.h"
#include "envelope_wish.h"

#define NOW INT64_C(1795439283) /* 2026-11-23T13:08:03Z */

static struct smtp_mail parse(const char *parameters) {
    static char line[200]; /* what was parsed borrows from it */
    struct smtp_mail mail;
    struct smtp_command_error error;
    snprintf(line, sizeof line, "FROM:<a@b.test> %s", parameters);
    if (!smtp_parse_mail(str_from(line), ~0U, 0, &mail, &error)) fail_msg("%s", line);
    return mail;
}

static void test_release(void **state) {
    (void)state;
    static const struct {
        const char *parameters;
        bool good;
        int64_t release;
    } rows[] = {
        {"SIZE=1", true, 0},
        {"HOLDFOR=0", true, NOW},
        {"HOLDFOR=60", true, NOW + 60},
        {"HOLDFOR=86400", true, NOW + 86400},
        {"HOLDFOR=86401", false, 0},
        {"HOLDUNTIL=2026-11-23T13:09:03Z", true, NOW + 60},
        {"HOLDUNTIL=2026-11-23T14:09:03+01:00", true, NOW + 60},
        {"HOLDUNTIL=2026-11-24T13:08:03Z", true, NOW + 86400},
        {"HOLDUNTIL=2026-11-24T13:08:04Z", false, 0},
        {"HOLDUNTIL=2001-01-01T00:00:00Z", true, NOW}, /* the past is now */
        {"HOLDUNTIL=tomorrow", false, 0},
        {"HOLDUNTIL=2026-13-23T13:09:03Z", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct smtp_mail mail = parse(rows[i].parameters);
        int64_t release = -1;
        bool good = envelope_wish_release(&mail, NOW, 86400, &release);
        expect_int(good, rows[i].good, rows[i].parameters);
        expect_int(release, rows[i].good ? rows[i].release : -1, rows[i].parameters);
    }
}

static void test_deliver_by(void **state) {
    (void)state;
    static const struct {
        const char *parameters;
        int64_t later;
        const char *relayed; /* BY as it goes on that much later */
        bool late;
    } rows[] = {
        {"BY=120;R", 0, "120;R", false}, {"BY=120;RT", 100, "20;RT", false},
        {"BY=120;N", 120, "0;N", true},  {"BY=120;NT", 1120, "-1000;NT", true},
        {"BY=-60;N", 0, "-60;N", true},  {"BY=999999999;R", 0, "999999999;R", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct smtp_mail mail = parse(rows[i].parameters);
        struct envelope_wish wish = {.release = 0};
        struct buf line = buf_make(0);
        envelope_wish_deliver_by(&mail, NOW, &wish);
        envelope_wish_append_by(&line, &wish, NOW + rows[i].later);
        expect_str(buf_str(&line), rows[i].relayed, rows[i].parameters);
        expect_int(envelope_wish_is_late(&wish, NOW + rows[i].later), rows[i].late, rows[i].parameters);
        buf_free(&line);
    }
    struct smtp_mail none = parse("SIZE=1");
    struct envelope_wish wish = {.release = 0};
    envelope_wish_deliver_by(&none, NOW, &wish);
    expect_int(wish.by_mode, DELIVER_BY_NOT, "no BY");
    expect_int(envelope_wish_is_late(&wish, NOW), false, "no BY is never late");
}

static void test_begin(void **state) {
    (void)state;
    struct envelope_wish wish = {.release = 0};
    expect_int(envelope_wish_begin(&wish, NOW), NOW, "no release");
    wish.release = NOW + 5;
    expect_int(envelope_wish_begin(&wish, NOW), NOW + 5, "release later");
    wish.release = NOW - 5;
    expect_int(envelope_wish_begin(&wish, NOW), NOW, "release before it came");
}

static void test_priority_numbers(void **state) {
    (void)state;
    for (int priority = PRIORITY_LEAST; priority <= PRIORITY_MOST; priority++) {
        assert_true(priority_to_number(priority) < PRIORITY_COUNT);
        expect_int(priority_from_number(priority_to_number(priority)), priority, "round trip");
    }
    expect_int((int64_t)priority_to_number(0), 0, "what is not said is 0");
    expect_int((int64_t)priority_to_number(10), 0, "beyond");
    expect_int(priority_from_number(19), 0, "beyond");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_deliver_by),
        cmocka_unit_test(test_begin),
        cmocka_unit_test(test_priority_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
