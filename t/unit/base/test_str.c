/* Tests of str: tables of what is found, cut and read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "str.h"

#define ABSENT STR_NONE

static const struct str null_str = {NULL, 0};

static bool is(struct str s, const char *text) {
    return str_equal(s, str_from(text));
}

static void compares(void **state) {
    (void)state;
    static const struct {
        struct str a, b;
        bool equal, nocase, starts, ends, starts_nocase, ends_nocase;
        int order;
    } rows[] = {
        {STR_INIT(""), STR_INIT(""), true, true, true, true, true, true, 0},
        {STR_INIT("a"), STR_INIT(""), false, false, true, true, true, true, 1},
        {STR_INIT(""), STR_INIT("a"), false, false, false, false, false, false, -1},
        {STR_INIT("abc"), STR_INIT("abc"), true, true, true, true, true, true, 0},
        {STR_INIT("abc"), STR_INIT("ABC"), false, true, false, false, true, true, 1},
        {STR_INIT("abcab"), STR_INIT("ab"), false, false, true, true, true, true, 1},
        {STR_INIT("abcAB"), STR_INIT("ab"), false, false, true, false, true, true, 1},
        {STR_INIT("a\0b"), STR_INIT("a\0c"), false, false, false, false, false, false, -1},
        {STR_INIT("a\0b"), STR_INIT("a"), false, false, true, false, true, false, 1},
        {STR_INIT("\xff"), STR_INIT("a"), false, false, false, false, false, false, 1},
        /* '@' and '`' differ by 32 but are no letters; nor are bytes over 0x7f. */
        {STR_INIT("@"), STR_INIT("`"), false, false, false, false, false, false, -1},
        {STR_INIT("["), STR_INIT("{"), false, false, false, false, false, false, -1},
        {STR_INIT("\xc4"), STR_INIT("\xe4"), false, false, false, false, false, false, -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str a = rows[i].a;
        struct str b = rows[i].b;
        int order = str_compare(a, b);
        assert_int_equal(str_equal(a, b), rows[i].equal);
        assert_int_equal(str_equal_nocase(a, b), rows[i].nocase);
        assert_int_equal(str_starts(a, b), rows[i].starts);
        assert_int_equal(str_ends(a, b), rows[i].ends);
        assert_int_equal(str_starts_nocase(a, b), rows[i].starts_nocase);
        assert_int_equal(str_ends_nocase(a, b), rows[i].ends_nocase);
        assert_int_equal((order > 0) - (order < 0), rows[i].order);
    }
}

static void null_is_empty(void **state) {
    (void)state;
    struct str word = STR("kept");
    struct str rest = null_str;
    assert_true(is(str_from(NULL), ""));
    assert_true(str_equal(null_str, STR_EMPTY) && str_equal_nocase(null_str, STR_EMPTY));
    assert_int_equal(str_compare(null_str, STR_EMPTY), 0);
    assert_true(str_starts(STR("a"), null_str) && str_ends(STR("a"), null_str) && str_ends(null_str, null_str));
    assert_true(str_find(null_str, 'a') == ABSENT && str_find_last(null_str, 'a') == ABSENT);
    assert_true(str_find_str(null_str, STR("a")) == ABSENT && str_find_str(STR("a"), null_str) == 0);
    assert_int_equal(str_slice(null_str, 3, 9).length, 0);
    assert_int_equal(str_trim(null_str).length, 0);
    assert_false(str_next_word(&rest, " ", &word));
    assert_true(is(word, "kept"));
    assert_true(str_is_utf8(null_str) && str_is_ascii(null_str) && str_is_printable(null_str));
}

static void finds(void **state) {
    (void)state;
    static const struct {
        struct str s;
        char c;
        size_t first, last;
    } rows[] = {
        {STR_INIT(""), 'a', ABSENT, ABSENT}, {STR_INIT("a"), 'a', 0, 0},
        {STR_INIT("banana"), 'a', 1, 5},     {STR_INIT("banana"), 'x', ABSENT, ABSENT},
        {STR_INIT("a\0b\0"), '\0', 1, 3},    {STR_INIT("\xff\x01"), '\xff', 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_true(str_find(rows[i].s, rows[i].c) == rows[i].first);
        assert_true(str_find_last(rows[i].s, rows[i].c) == rows[i].last);
    }
    assert_true(str_find_str(STR("banana"), STR("ana")) == 1);
    assert_true(str_find_str(STR("banana"), STR("")) == 0);
    assert_true(str_find_str(STR("banana"), STR("bananas")) == ABSENT);
    assert_true(str_find_str(STR("a\0b"), STR("\0b")) == 1);
}

static void slices(void **state) {
    (void)state;
    static const struct {
        size_t from, to;
        const char *want;
    } rows[] = {{0, 5, "abcde"},
                {1, 3, "bc"},
                {0, 0, ""},
                {5, 5, ""},
                {6, 9, ""},
                {3, 99, "de"},
                {4, 2, ""},
                {2, 2, ""},
                {0, SIZE_MAX, "abcde"},
                {SIZE_MAX, SIZE_MAX, ""}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_true(is(str_slice(STR("abcde"), rows[i].from, rows[i].to), rows[i].want));
    assert_true(is(str_from_offset(STR("abc"), 1), "bc") && is(str_from_offset(STR("abc"), 4), ""));
    assert_true(is(str_trim(STR(" \t\r\n a b \r\n")), "a b") && is(str_trim(STR(" \t ")), ""));
    assert_true(is(str_trim(STR("\va\v")), "\va\v"));
}

static void cuts(void **state) {
    (void)state;
    struct str before = STR("1");
    struct str after = STR("2");
    assert_false(str_cut(STR("abc"), ':', &before, &after));
    assert_true(is(before, "1") && is(after, "2"));
    assert_true(str_cut(STR("a:b:c"), ':', &before, &after));
    assert_true(is(before, "a") && is(after, "b:c"));
    assert_true(str_cut(after, ':', &before, &after)); /* the same variable in and out */
    assert_true(is(before, "b") && is(after, "c"));
    assert_true(str_cut(STR(":"), ':', &before, &after));
    assert_true(is(before, "") && is(after, ""));
}

static void words(void **state) {
    (void)state;
    static const struct {
        struct str s;
        const char *words[4];
    } rows[] = {
        {STR_INIT(""), {NULL}},
        {STR_INIT(" ,, "), {NULL}},
        {STR_INIT("one"), {"one"}},
        {STR_INIT(" one, two,,three "), {"one", "two", "three"}},
        {STR_INIT("one\ttwo"), {"one\ttwo"}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str rest = rows[i].s;
        struct str word = STR("kept");
        size_t n = 0;
        for (; str_next_word(&rest, " ,", &word); n++)
            assert_true(rows[i].words[n] && is(word, rows[i].words[n]));
        assert_null(rows[i].words[n]);
        assert_true(n > 0 || is(word, "kept"));
    }
    /* NUL is a byte like any other, not a separator. */
    struct str rest = STR("a\0b c");
    struct str word = STR_EMPTY;
    assert_true(str_next_word(&rest, " ", &word) && word.length == 3);
}

static void unsigned_numbers(void **state) {
    (void)state;
    static const struct {
        struct str s;
        uint64_t maximum;
        bool good;
        uint64_t value;
    } rows[] = {
        {STR_INIT("0"), 0, true, 0},
        {STR_INIT("1"), 0, false, 0},
        {STR_INIT("007"), 7, true, 7},
        {STR_INIT("8"), 7, false, 0},
        {STR_INIT("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
        {STR_INIT("18446744073709551616"), UINT64_MAX, false, 0},
        {STR_INIT("18446744073709551615"), UINT64_MAX - 1, false, 0},
        {STR_INIT("28446744073709551615"), UINT64_MAX, false, 0},
        {STR_INIT("99999999999999999999999999"), UINT64_MAX, false, 0},
        {STR_INIT("00000000000000000000000000000000001"), 9, true, 1},
        {STR_INIT(""), UINT64_MAX, false, 0},
        {STR_INIT("-1"), UINT64_MAX, false, 0},
        {STR_INIT("+1"), UINT64_MAX, false, 0},
        {STR_INIT(" 1"), UINT64_MAX, false, 0},
        {STR_INIT("1 "), UINT64_MAX, false, 0},
        {STR_INIT("1\0"), UINT64_MAX, false, 0},
        {STR_INIT("0x10"), UINT64_MAX, false, 0},
        {STR_INIT("1e3"), UINT64_MAX, false, 0},
        {STR_INIT("/"), UINT64_MAX, false, 0},
        {STR_INIT(":"), UINT64_MAX, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint64_t value = 4711;
        assert_int_equal(str_to_u64(rows[i].s, rows[i].maximum, &value), rows[i].good);
        assert_true(value == (rows[i].good ? rows[i].value : 4711));
    }
}

static void signed_numbers(void **state) {
    (void)state;
    static const struct {
        struct str s;
        int64_t minimum, maximum;
        bool good;
        int64_t value;
    } rows[] = {
        {STR_INIT("0"), 0, 0, true, 0},
        {STR_INIT("-0"), 0, 0, true, 0},
        {STR_INIT("-1"), 0, 9, false, 0},
        {STR_INIT("-1"), -1, 9, true, -1},
        {STR_INIT("5"), 6, 9, false, 0},
        {STR_INIT("9223372036854775807"), INT64_MIN, INT64_MAX, true, INT64_MAX},
        {STR_INIT("9223372036854775808"), INT64_MIN, INT64_MAX, false, 0},
        {STR_INIT("-9223372036854775808"), INT64_MIN, INT64_MAX, true, INT64_MIN},
        {STR_INIT("-9223372036854775808"), INT64_MIN + 1, INT64_MAX, false, 0},
        {STR_INIT("-9223372036854775809"), INT64_MIN, INT64_MAX, false, 0},
        {STR_INIT("-"), INT64_MIN, INT64_MAX, false, 0},
        {STR_INIT("--1"), INT64_MIN, INT64_MAX, false, 0},
        {STR_INIT(""), INT64_MIN, INT64_MAX, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int64_t value = 4711;
        assert_int_equal(str_to_i64(rows[i].s, rows[i].minimum, rows[i].maximum, &value), rows[i].good);
        assert_true(value == (rows[i].good ? rows[i].value : 4711));
    }
}

static void utf8(void **state) {
    (void)state;
    static const struct {
        struct str s;
        bool good;
    } rows[] = {
        {STR_INIT(""), true},
        {STR_INIT("plain\0text"), true},
        {STR_INIT("\xc2\x80"), true},
        {STR_INIT("\xdf\xbf"), true},
        {STR_INIT("\xe0\xa0\x80"), true},
        {STR_INIT("\xed\x9f\xbf"), true},
        {STR_INIT("\xee\x80\x80"), true},
        {STR_INIT("\xef\xbf\xbf"), true},
        {STR_INIT("\xf0\x90\x80\x80"), true},
        {STR_INIT("\xf4\x8f\xbf\xbf"), true},
        {STR_INIT("\x80"), false},
        {STR_INIT("\xc0\x80"), false},         /* overlong */
        {STR_INIT("\xc1\xbf"), false},         /* overlong */
        {STR_INIT("\xe0\x9f\xbf"), false},     /* overlong */
        {STR_INIT("\xf0\x8f\xbf\xbf"), false}, /* overlong */
        {STR_INIT("\xed\xa0\x80"), false},     /* surrogate D800 */
        {STR_INIT("\xed\xbf\xbf"), false},     /* surrogate DFFF */
        {STR_INIT("\xf4\x90\x80\x80"), false}, /* 110000 */
        {STR_INIT("\xf5\x80\x80\x80"), false},
        {STR_INIT("\xf8\x88\x80\x80\x80"), false},
        {STR_INIT("\xfe"), false},
        {STR_INIT("\xff"), false},
        {STR_INIT("\xc2"), false}, /* cut short */
        {STR_INIT("\xe2\x82"), false},
        {STR_INIT("\xf0\x9f\x98"), false},
        {STR_INIT("\xe2\x82z"), false},
        {STR_INIT("\xf0\x9f\x98\xc0"), false},
        {STR_INIT("ok\xc3"), false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_int_equal(str_is_utf8(rows[i].s), rows[i].good);
}

static void classes(void **state) {
    (void)state;
    assert_true(str_is_printable(STR(" ~")) && !str_is_printable(STR("\x1f")) && !str_is_printable(STR("\x7f")));
    assert_true(!str_is_printable(STR("\x80")) && !str_is_printable(STR("a\0")));
    assert_true(str_is_ascii(STR("\0\x7f")) && !str_is_ascii(STR("a\x80")));
    for (int c = 0; c < 256; c++) {
        char byte = (char)(unsigned char)c;
        assert_int_equal(ascii_is_digit(byte), c >= '0' && c <= '9');
        assert_int_equal(ascii_is_alnum(byte), ascii_is_digit(byte) || ascii_lower(byte) != ascii_upper(byte));
    }
}

static void prints(void **state) {
    (void)state;
    char text[16];
    (void)snprintf(text, sizeof(text), "<%.*s>", STR_ARGS(str_slice(STR("abcdef"), 1, 3)));
    assert_string_equal(text, "<bc>");
    assert_int_equal(str_printf_length((struct str){"", SIZE_MAX}), 0x7fffffff);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),       cmocka_unit_test(null_is_empty),
        cmocka_unit_test(finds),          cmocka_unit_test(slices),
        cmocka_unit_test(cuts),           cmocka_unit_test(words),
        cmocka_unit_test(utf8),           cmocka_unit_test(unsigned_numbers),
        cmocka_unit_test(signed_numbers), cmocka_unit_test(classes),
        cmocka_unit_test(prints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
