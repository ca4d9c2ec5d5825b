/* Unit table of lib/mail/date. */
#include "expect.h"
#include "date.h"

static void test_rfc5322(void **state) {
    (void)state;
    static const struct {
        int64_t seconds;
        int offset;
        const char *text;
    } rows[] = {
        {0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"},
        {1795439283, 0, "Mon, 23 Nov 2026 13:08:03 +0000"},
        {1795439283, 60, "Mon, 23 Nov 2026 14:08:03 +0100"},
        {1795439283, -570, "Mon, 23 Nov 2026 03:38:03 -0930"},
        {951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"},
        {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"},
        {INT64_C(253402300799), 0, "Fri, 31 Dec 9999 23:59:59 +0000"},
        {-INT64_C(2208988800), 0, "Mon, 1 Jan 1900 00:00:00 +0000"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        int64_t seconds = 0;
        int offset = 0;
        assert_true(date_append_rfc5322(&out, rows[i].seconds, rows[i].offset));
        expect_str(buf_str(&out), rows[i].text, rows[i].text);
        assert_true(date_parse_rfc5322(buf_str(&out), &seconds, &offset));
        expect_int(seconds, rows[i].seconds, rows[i].text);
        expect_int(offset, rows[i].offset, rows[i].text);
        buf_free(&out);
    }
}

static void test_parse(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
        int64_t seconds;
    } rows[] = {
        {"23 Nov 2026 13:08 GMT", true, 1795439280},
        {"Mon, 23 Nov 26 13:08:03 UT", true, 1795439283},
        {"Monday, 23 November 2026 13:08:03 -0000", true, 1795439283},
        {"Mon, 23 Nov 2026 08:08:03 EST", true, 1795439283},
        {"Mon, 23 Nov 2026 13:08:03 X", true, 1795439283},
        {"Mon, 23 Nov 2026 13:08:03", true, 1795439283},
        {" Mon (a (b)) , 23 Nov 2026 (\\)) 13 : 08 : 03 +0000 (UTC)", true, 1795439283},
        {"Mon, 23-Nov-2026 13:08:03 +0000", true, 1795439283},
        {"1 Jan 70 00:00:00 +0000", true, 0},
        {"1 Jan 100 00:00:00 +0000", true, 946684800},
        {"31 Dec 2016 23:59:60 +0000", true, 1483228800},
        {"Foo, 23 Nov 2026 13:08:03 +0000", false, 0},
        {"29 Feb 2026 00:00:00 +0000", false, 0},
        {"23 Nov 2026 24:00:00 +0000", false, 0},
        {"23 Nov 2026 13:08:03 +9900", false, 0},
        {"23 Nov 2026 13:08:03 +000", false, 0},
        {"23 Nov 2026 13:08:03 +0000 x", false, 0},
        {"23 Nov 99999 13:08:03 +0000", false, 0},
        {"0 Nov 2026 13:08:03 +0000", false, 0},
        {"23 Xxx 2026 13:08:03 +0000", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int64_t seconds = 0;
        expect_int(date_parse_rfc5322(str_from(rows[i].text), &seconds, NULL), rows[i].good, rows[i].text);
        expect_int(seconds, rows[i].seconds, rows[i].text);
    }
}

static void test_rfc3339(void **state) {
    (void)state;
    struct buf out = {0};
    int64_t microseconds = 0;
    date_append_rfc3339(&out, INT64_C(1795439283123456), 90, 6);
    expect_str(buf_str(&out), "2026-11-23T14:38:03.123456+01:30", "format");
    assert_true(date_parse_rfc3339(buf_str(&out), &microseconds, NULL));
    expect_int(microseconds, INT64_C(1795439283123456), "back");
    buf_clear(&out);
    date_append_rfc3339(&out, -1, 0, 3);
    expect_str(buf_str(&out), "1969-12-31T23:59:59.999+00:00", "before the epoch");
    static const struct {
        const char *text;
        bool good;
        int64_t microseconds;
    } rows[] = {
        {"1970-01-01T00:00:01Z", true, 1000000}, {"1970-01-01t00:00:01.5z", true, 1500000},
        {"1970-01-01 01:00:00+01:00", true, 0},  {"1970-01-01T00:00:00.1234567890123Z", true, 123456},
        {"1970-01-01T00:00:00", false, 0},       {"1970-01-01T00:00:00.Z", false, 0},
        {"1970-1-01T00:00:00Z", false, 0},       {"1970-13-01T00:00:00Z", false, 0},
        {"1970-01-01T00:00:00+25:00", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        microseconds = 0;
        expect_int(date_parse_rfc3339(str_from(rows[i].text), &microseconds, NULL), rows[i].good, rows[i].text);
        expect_int(microseconds, rows[i].microseconds, rows[i].text);
    }
    buf_free(&out);
}

static void test_every_day(void **state) {
    (void)state;
    for (int64_t day = -25567; day < 100000; day++) {
        struct date_fields fields;
        int64_t seconds = 0;
        assert_true(date_split(day * 86400, 0, &fields));
        assert_true(date_join(&fields, &seconds));
        assert_int_equal(seconds, day * 86400);
        assert_int_equal(fields.weekday, (day % 7 + 11) % 7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rfc5322), cmocka_unit_test(test_parse),
                                       cmocka_unit_test(test_rfc3339), cmocka_unit_test(test_every_day)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
