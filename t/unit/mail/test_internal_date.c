/* Unit table of lib/mail/internal_date, and of lenient dates. */
#include "expect.h"
#include "date.h"
#include "internal_date.h"

static void test_parse(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed;
        int64_t seconds;
        int offset;
    } rows[] = {
        {"17-Jul-1996 02:44:25 -0700", "17-Jul-1996 02:44:25 -0700", 837596665, -420},
        {" 1-jan-1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000", 0, 0},
        {"1-JAN-1970 00:00:00 +0130", " 1-Jan-1970 00:00:00 +0130", -5400, 90},
        {"01-Jan-1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000", 0, 0},
        {"29-Feb-2000 23:59:59 +0000", "29-Feb-2000 23:59:59 +0000", 951868799, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int64_t seconds = 0;
        int offset = 0;
        struct buf out = {0};
        assert_true(internal_date_parse(str_from(rows[i].text), &seconds, &offset));
        expect_int(seconds, rows[i].seconds, rows[i].text);
        expect_int(offset, rows[i].offset, rows[i].text);
        assert_true(internal_date_append(&out, seconds, offset));
        expect_str(buf_str(&out), rows[i].printed, rows[i].text);
        buf_free(&out);
    }
    static const char *const bad[] = {
        "",
        "17-Jul-1996",
        "17-Jul-1996 02:44:25",
        "17-Jul-1996 02:44:25 0700",
        "17-Jul-1996 02:44:25 -0760",
        "17-Jul-1996 02:44:25 -2400",
        "17-Jul-1996 02:44:25 -070",
        "17-Jul-1996 02:44:25 -0700 ",
        "17-Jul-96 02:44:25 -0700",
        "17-Foo-1996 02:44:25 -0700",
        "30-Feb-1996 02:44:25 -0700",
        "17-Jul-1996 24:44:25 -0700",
        "17-Jul-1996  2:44:25 -0700",
        "  7-Jul-1996 02:44:25 -0700",
        "007-Jul-1996 02:44:25 -0700",
        "17-Ju",
        "17 Jul 1996 02:44:25 -0700",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        int64_t seconds = 42;
        expect_int(internal_date_parse(str_from(bad[i]), &seconds, NULL), false, bad[i]);
        expect_int(seconds, 42, bad[i]);
    }
    struct buf out = {0};
    internal_date_append(&out, INT64_MAX, 60);
    expect_str(buf_str(&out), " 1-Jan-1970 00:00:00 +0000", "out of range");
    buf_free(&out);
}

static void test_day(void **state) {
    (void)state;
    int64_t day = 0;
    assert_true(internal_date_parse_day(STR("1-Feb-1994"), &day));
    assert_int_equal(day, 8797);
    assert_true(internal_date_parse_day(STR("\"01-feb-1994\""), &day));
    assert_int_equal(day, 8797);
    assert_true(internal_date_parse_day(STR("31-Dec-1969"), &day));
    assert_int_equal(day, -1);
    assert_int_equal(date_day(-1, 0), -1);
    assert_int_equal(date_day(-86400, 0), -1);
    assert_int_equal(date_day(86399, 1), 1);
    assert_int_equal(date_day(0, -1), -1);
    static const char *const bad[] = {"",         "\"1-Feb-1994", "1-Feb-1994\"", " 1-Feb-1994", "32-Jan-1994",
                                      "1-Feb-94", "1-2-1994"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        expect_int(internal_date_parse_day(str_from(bad[i]), &day), false, bad[i]);
}

static void test_sent(void **state) {
    (void)state;
    static const struct {
        const char *field;
        int64_t seconds;
        int offset;
    } rows[] = {
        {"Wed, 17 Jul 1996 02:44:25 -0700 (PDT)", 837596665, -420},
        {"Wed, 17 Jul 1996 02:44:25 -0700 junk", 837596665, -420},
        {"Mercredi, 17 Jul 1996 02:44:25 -0700", 837596665, -420},
        {"17 Jul 1996 02:44:25", 837571465, 0},
        {"17 Jul 1996 02:44:25 +99", 837571465, 0},
        {"17 Jul 1996 99:44:25 +0100", 837558000, 60},
        {"17 Jul 1996", 837561600, 0},
        {"17 Jul 1996 at noon", 837561600, 0},
        {"Wed Jul 17 02:44:25 1996", 837571465, 0},
        {"Wed Jul 17 02:44:25 PDT 1996", 837596665, -420},
        {"17-Jul-1996 02:44:25 -0700", 837596665, -420},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct sent_date sent = sent_date_of(str_from(rows[i].field), 7, 5);
        expect_int(sent.from_header, true, rows[i].field);
        expect_int(sent.seconds, rows[i].seconds, rows[i].field);
        expect_int(sent.offset_minutes, rows[i].offset, rows[i].field);
    }
    static const char *const bad[] = {"", "yesterday", "31 Feb 2020 00:00:00 +0000", "Wed Jul 17 02:44:25", "Wed, Jul"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct sent_date sent = sent_date_of(str_from(bad[i]), 7, 5);
        expect_int(sent.from_header, false, bad[i]);
        expect_int(sent.seconds, 7, bad[i]);
        expect_int(sent.offset_minutes, 5, bad[i]);
    }
    assert_int_equal(sent_date_of((struct str){0}, 7, 5).seconds, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_day),
                                       cmocka_unit_test(test_sent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
