/* Unit table of lib/mail/sort_key. */
#include "expect.h"
#include "sort_key.h"

static int sign(int number) {
    return number < 0 ? -1 : number > 0;
}

static int compare_texts(struct str a, struct str b, bool reverse) {
    struct buf one = {0}, two = {0};
    sort_key_append_text(&one, a, reverse);
    sort_key_append_number(&one, 1, false);
    sort_key_append_text(&two, b, reverse);
    sort_key_append_number(&two, 1, false);
    int result = sign(str_compare(buf_str(&one), buf_str(&two)));
    buf_free(&one);
    buf_free(&two);
    return result;
}

static void test_texts(void **state) {
    (void)state;
    static const struct str rising[] = {STR_INIT(""),   STR_INIT("\0"),  STR_INIT("\0\0"), STR_INIT("\0a"),
                                        STR_INIT("\1"), STR_INIT("A"),   STR_INIT("A\0"),  STR_INIT("A\0\0"),
                                        STR_INIT("AB"), STR_INIT("ABC"), STR_INIT("B"),    STR_INIT("\377")};
    for (size_t i = 0; i < ARRAY_LENGTH(rising); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(rising); k++) {
            int wanted = i < k ? -1 : i > k;
            assert_int_equal(compare_texts(rising[i], rising[k], false), wanted);
            assert_int_equal(compare_texts(rising[i], rising[k], true), -wanted);
        }
    }
}

static void test_numbers(void **state) {
    (void)state;
    static const int64_t rising[] = {INT64_MIN, -256, -1, 0, 1, 255, 256, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(rising); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(rising); k++) {
            struct buf keys[4] = {0};
            for (size_t n = 0; n < 4; n++)
                sort_key_append_number(&keys[n], rising[n % 2 == 0 ? i : k], n >= 2);
            int wanted = i < k ? -1 : i > k;
            assert_int_equal(sign(str_compare(buf_str(&keys[0]), buf_str(&keys[1]))), wanted);
            assert_int_equal(sign(str_compare(buf_str(&keys[2]), buf_str(&keys[3]))), -wanted);
            for (size_t n = 0; n < 4; n++)
                buf_free(&keys[n]);
        }
    }
}

static void test_fields(void **state) {
    (void)state;
    static const struct {
        const char *field, *address, *display;
    } rows[] = {
        {"", "", ""},
        {"joe@x.example", "JOE", "JOE@X.EXAMPLE"},
        {"=?utf-8?q?J=C3=B6rg?= <j@x>, a@b", "J", "JO\314\210RG"},
        {"joe@x (The Joe)", "JOE", "THE JOE"},
        {"Friends: a@b, c@d;", "FRIENDS", "FRIENDS"},
        {" , root", "ROOT", "ROOT"},
        {"no address", "NO ADDRESS", "NO ADDRESS"},
        {"a@b <c@d>, e@f", "C", "A@B"},
        {"<>", "", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        sort_text_address(&out, str_from(rows[i].field));
        expect_str(buf_str(&out), rows[i].address, rows[i].field);
        buf_clear(&out);
        sort_text_display(&out, str_from(rows[i].field));
        expect_str(buf_str(&out), rows[i].display, rows[i].field);
        buf_free(&out);
    }
    struct buf out = {0};
    sort_text_subject(&out, STR("Re: [x] =?utf-8?q?J=C3=B6rg?="));
    expect_str(buf_str(&out), "JO\314\210RG", "subject");
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
