/* Unit tables of lib/mail/sts_policy. */
#include "expect.h"
#include "sts_policy.h"

static void test_record(void **state) {
    (void)state;
    static const struct {
        const char *text, *id; /* id NULL: no record */
        bool is_one;
    } rows[] = {
        {"v=STSv1; id=20160831085700Z;", "20160831085700Z", true},
        {"v=STSv1;id=1", "1", true},
        {"v=STSv1 ;\tid=a1 ; ", "a1", true},
        {"v=STSv1; id=1; x=y; a.b-c_d=%41;", "1", true},
        {"v=STSv1; x=y; id=2; id=3", "2", true},
        {"v=STSv1; id=12345678901234567890123456789012;", "12345678901234567890123456789012", true},
        {"v=STSv1; id=123456789012345678901234567890123;", NULL, true},
        {"v=STSv1; id=a-b;", NULL, true},
        {"v=STSv1; id=;", NULL, true},
        {"v=STSv1; id;", NULL, true},
        {"v=STSv1;", NULL, true},
        {"v=STSv1; =1; id=1", NULL, true},
        {"v=STSv1; id=1;; x=y", NULL, true},
        {"v=STSv1; id=1; x=a b", NULL, true},
        {"v=STSv1; id=1; x=a=b", NULL, true},
        {"v=STSv1", NULL, false},
        {"v=STSv2; id=1;", NULL, false},
        {"v=stsv1; id=1;", NULL, false},
        {" v=STSv1; id=1;", NULL, false},
        {"id=1; v=STSv1;", NULL, false},
        {"v=spf1 -all", NULL, false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str id = STR("untouched");
        expect_int(sts_record_is_one(str_from(rows[i].text)), rows[i].is_one, rows[i].text);
        expect_int(sts_record_parse(str_from(rows[i].text), &id), rows[i].id != NULL, rows[i].text);
        expect_str(id, rows[i].id ? rows[i].id : "untouched", rows[i].text);
    }
}

static void test_policy(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int mode; /* -1: refused */
        unsigned long long max_age;
        const char *patterns; /* or a part of what is wrong */
    } rows[] = {
        {"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: 604800\r\n", 2,
         604800, "mail.example.com *.example.net"},
        {"version:STSv1\nmode:testing\nmx:a.example\nmax_age:0", 1, 0, "a.example"},
        {"version: STSv1\nmode: none\nmax_age: 86400\n", 0, 86400, ""},
        {"version : STSv1 \nmode\t: none\nmax_age: 1 \n\n\n", 0, 1, ""},
        {"version: STSv1\nmode: none\nmode: enforce\nmax_age: 1\nmax_age: x\n", 0, 1, ""},
        {"version: STSv1\nx-other: what: ever\nmode: none\nmax_age: 9999999999\n", 0, STS_MAX_AGE, ""},
        {"version: STSv1\nmode: none\nmax_age: 10000000000\n", -1, 0, "max_age"},
        {"version: STSv1\nmode: none\nmax_age: -1\n", -1, 0, "max_age"},
        {"version: STSv1\nmode: none\n", -1, 0, "no max_age"},
        {"version: STSv1\nmax_age: 1\n", -1, 0, "no mode"},
        {"version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.example\n", -1, 0, "mode"},
        {"version: STSv1\nmode: enforce\nmax_age: 1\n", -1, 0, "names no mx"},
        {"version: STSv1\nmode: enforce\nmax_age: 1\nmx: *.*.example\n", -1, 0, "mx pattern"},
        {"version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.*.example\n", -1, 0, "mx pattern"},
        {"version: STSv1\nmode: enforce\nmax_age: 1\nmx: *\n", -1, 0, "mx pattern"},
        {"version: STSv1\nmode: enforce\nmax_age: 1\nmx: .example\n", -1, 0, "mx pattern"},
        {"version: STSv1\nmode: enforce\nmax_age: 1\nmx: \n", -1, 0, "mx pattern"},
        {"version: STSv1\nmode: enforce\nmax_age: 1\nmx: a b\n", -1, 0, "mx pattern"},
        {"version: STSv2\nmode: none\nmax_age: 1\n", -1, 0, "not STSv1"},
        {"mode: none\nversion: STSv1\nmax_age: 1\n", -1, 0, "begin with its version"},
        {"version: STSv1\nno colon here\nmode: none\nmax_age: 1\n", -1, 0, "field name"},
        {"<html>\n", -1, 0, "field name"},
        {"", -1, 0, "no version"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct sts_policy policy = {.mode = STS_ENFORCE, .max_age = 77};
        struct buf patterns = {0};
        struct failure failure = {0};
        bool good = sts_policy_parse(str_from(rows[i].text), &policy, &patterns, &failure);
        expect_int(good, rows[i].mode >= 0, rows[i].text);
        if (good) {
            expect_int(policy.mode, rows[i].mode, rows[i].text);
            expect_int(policy.max_age, rows[i].max_age, rows[i].text);
            expect_str(buf_str(&patterns), rows[i].patterns, rows[i].text);
        } else {
            expect_int(policy.max_age, 77, rows[i].text);
            expect_int(patterns.length, 0, rows[i].text);
            if (str_find_str(str_from(failure.text), str_from(rows[i].patterns)) == STR_NONE)
                fail_msg("%s: %s", rows[i].text, failure.text);
        }
        buf_free(&patterns);
    }
}

static void test_too_long(void **state) {
    (void)state;
    struct buf text = {0}, patterns = {0};
    struct sts_policy policy;
    buf_append(&text, STR("version: STSv1\nmode: none\nmax_age: 1\nx: "));
    while (text.length < STS_POLICY_LIMIT)
        buf_append_char(&text, 'y');
    assert_true(sts_policy_parse(buf_str(&text), &policy, &patterns, NULL));
    buf_append_char(&text, 'y');
    assert_false(sts_policy_parse(buf_str(&text), &policy, &patterns, NULL));
    buf_free(&text);
    buf_free(&patterns);
    assert_false(
        sts_policy_parse(str_make("version: STSv1\nmode: none\nmax_age: 1\n\0", 38), &policy, &patterns, NULL));
}

static void test_match(void **state) {
    (void)state;
    static const struct {
        const char *patterns, *host;
        bool matches;
    } rows[] = {
        {"mail.example.com *.example.net", "mail.example.com", true},
        {"mail.example.com *.example.net", "MAIL.example.com.", true},
        {"mail.example.com *.example.net", "mx1.example.net", true},
        {"mail.example.com *.example.net", "a.mx1.example.net", false},
        {"mail.example.com *.example.net", "example.net", false},
        {"mail.example.com *.example.net", ".example.net", false},
        {"mail.example.com *.example.net", "xmail.example.com", false},
        {"mail.example.com *.example.net", "mail.example.com.evil.test", false},
        {"mail.example.com", "", false},
        {"", "mail.example.com", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        expect_int(sts_patterns_match(str_from(rows[i].patterns), str_from(rows[i].host)), rows[i].matches,
                   rows[i].host);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(sts_mode_name(STS_NONE), "none");
    assert_string_equal(sts_mode_name(STS_TESTING), "testing");
    assert_string_equal(sts_mode_name(STS_ENFORCE), "enforce");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_record), cmocka_unit_test(test_policy),
                                       cmocka_unit_test(test_too_long), cmocka_unit_test(test_match),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
