/* Unit table of lib/mail/encoded_word. */
#include "expect.h"
#include "encoded_word.h"

static void test_decode(void **state) {
    (void)state;
    static const struct {
        const char *value, *wanted;
    } rows[] = {
        {"", ""},
        {" plain text ", "plain text"},
        {" folded\r\n  text\n\tmore", "folded  text\tmore"},
        {"=?utf-8?Q?J=C3=B6rg_M.?=", "J\303\266rg M."},
        {"=?UTF-8?B?SsO2cmc=?= <x@y>", "J\303\266rg <x@y>"},
        {"=?iso-8859-1*de?q?J=F6rg?=", "J\303\266rg"},
        {"a =?utf-8?q?b?= =?utf-8?q?c?=\n =?us-ascii?q?d?= e", "a bcd e"},
        {"=?utf-8?q?b?= x =?utf-8?q?c?=", "b x c"},
        {"=?utf-8?q?J=C3?=\r\n =?UTF-8?q?=B6rg?=", "J\303\266rg"},
        {"=?utf-8?q?J=C3?= =?utf-8?B?tnJn?=", "J\303\266rg"},
        {"=?utf-8?q?J=C3?= x", "J\357\277\275 x"},
        {"(=?utf-8?q?a?=)x=?utf-8?q?b?=y", "(a)xby"},
        {"=?iso-2022-jp?B?GyRCNEE7ehsoQg==?=", "\346\274\242\345\255\227"},
        {"=?x-unknown?q?abc?=", "abc"},
        {"=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
        {"=?utf-8?q?abc", "=?utf-8?q?abc"},
        {"=?utf-8?q?a?b?=", "=?utf-8?q?a?b?="},
        {"=?? =?=?utf-8?q?a?=", "=?? =?a"},
        {"=??q?a?=", "=??q?a?="},
        {"=?utf-8?q?\?=x", "x"},
        {"=?utf-8?q?a=0D=0Ab=00c=7F=zz=?=", "a  b c =zz="},
        {"J\303\266rg \377", "J\303\266rg \357\277\275"},
        {"=?utf-8?q?a b?=", "a b"},
        {"==?utf-8?q?a?=", "=a"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        buf_append(&out, STR("\n"));
        assert_true(encoded_word_decode(str_from(rows[i].value), &out));
        expect_str(str_from_offset(buf_str(&out), 1), rows[i].wanted, rows[i].value);
        buf_free(&out);
    }
    struct buf small = buf_make(5);
    assert_false(encoded_word_decode(STR("=?utf-8?q?abcdef?="), &small));
    buf_free(&small);
    assert_true(encoded_word_is_needed(STR("a =?b")) && encoded_word_is_needed(STR("\303\266")));
    assert_false(encoded_word_is_needed(STR("a = b?")));
}

/* Many beginnings of words that are none take no longer than their length. */
static void test_linear(void **state) {
    (void)state;
    struct buf value = {0}, out = {0};
    for (size_t i = 0; i < 200000; i++)
        buf_append(&value, STR("=?a?q?"));
    for (size_t i = 0; i < 200000; i++)
        buf_append(&value, STR("=?x"));
    assert_true(encoded_word_decode(buf_str(&value), &out));
    assert_true(str_equal(buf_str(&value), buf_str(&out)));
    buf_free(&value);
    buf_free(&out);
}

/* Converters are opened so often and no more. */
static void test_many_charsets(void **state) {
    (void)state;
    struct buf value = {0}, out = {0};
    for (size_t i = 0; i < 100; i++)
        buf_append(&value, STR("=?koi8-r?q?=F0?= =?iso-8859-5?q?=BF?= "));
    assert_true(encoded_word_decode(buf_str(&value), &out));
    assert_true(str_starts(buf_str(&out), STR("\320\237\320\237\320\237")));
    assert_true(str_ends(buf_str(&out), STR("\357\277\275")) && str_is_utf8(buf_str(&out)));
    buf_clear(&value);
    buf_clear(&out);
    for (size_t i = 0; i < 100; i++)
        buf_append(&value, STR("=?koi8-r?q?=F0?= x "));
    assert_true(encoded_word_decode(buf_str(&value), &out));
    assert_true(str_ends(buf_str(&out), STR("\320\237 x")));
    buf_free(&value);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode), cmocka_unit_test(test_linear),
                                       cmocka_unit_test(test_many_charsets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
