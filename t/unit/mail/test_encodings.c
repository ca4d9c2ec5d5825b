/* Unit tables of lib/mail/base64, xtext, utf8 and log_text. */
#include "expect.h"
#include "base64.h"
#include "log_text.h"
#include "utf8.h"
#include "xtext.h"

static void test_base64(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd", "//79"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0}, back = {0};
        assert_true(base64_encode(&out, str_from(rows[i][0])));
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        assert_true(base64_decode(&back, buf_str(&out)));
        expect_str(buf_str(&back), rows[i][0], rows[i][1]);
        buf_free(&out);
        buf_free(&back);
    }
    static const char *const bad[] = {"Z",    "Zg",     "Zg=",      "Zh==",         "Zm9=",
                                      "====", "Z===",   "Zm9v====", "Zm9vYg==Zg==", "Zm\n9v",
                                      "Zm-_", "Zg==\n", "=Zg=",     "Z=g=",         "Zm9v=g=="};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct buf out = {0};
        expect_int(base64_decode(&out, str_from(bad[i])), false, bad[i]);
        expect_int(out.length, 0, bad[i]);
        buf_free(&out);
    }
    struct buf small = buf_make(5);
    assert_false(base64_decode(&small, STR("Zm9vYmFy")));
    assert_true(base64_decode(&small, STR("Zm9vYg==")));
    buf_free(&small);
}

static void test_xtext(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"abc", "abc"},
        {"a+b=c d", "a+2Bb+3Dc+20d"},
        {"\xc3\xb6\n", "+C3+B6+0A"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0}, back = {0};
        assert_true(xtext_encode(&out, str_from(rows[i][0])));
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        assert_true(xtext_decode(&back, buf_str(&out)));
        expect_str(buf_str(&back), rows[i][0], rows[i][1]);
        buf_free(&out);
        buf_free(&back);
    }
    static const char *const bad[] = {"+", "+2", "+2G", "a b", "a=b", "\xc3\xb6", "a\n", "ab+4"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct buf out = {0};
        expect_int(xtext_decode(&out, str_from(bad[i])), false, bad[i]);
        expect_int(out.length, 0, bad[i]);
        buf_free(&out);
    }
}

static void test_utf8_address(void **state) {
    (void)state;
    struct buf out = {0}, back = {0};
    struct str address = STR("j\303\266 \\+@\360\237\230\200.example");
    assert_true(utf8_address_xtext_encode(&out, address));
    expect_str(buf_str(&out), "j\\x{F6}\\x{20}\\x{5C}\\x{2B}@\\x{1F600}.example", "xtext");
    assert_true(utf8_address_decode(&back, buf_str(&out)));
    assert_true(str_equal(buf_str(&back), address));
    buf_clear(&out);
    buf_clear(&back);
    assert_true(utf8_address_unitext_encode(&out, address));
    expect_str(buf_str(&out), "j\303\266\\x{20}\\x{5C}\\x{2B}@\360\237\230\200.example", "unitext");
    assert_true(utf8_address_decode(&back, buf_str(&out)));
    assert_true(str_equal(buf_str(&back), address));
    static const char *const bad[] = {"\\",     "\\x", "\\x{}", "\\x{0A}", "\\x{D800}",    "\\x{110000}",
                                      "\\x{41", "a b", "a+b",   "\xff",    "\\x{0000041}", "a=b"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        buf_clear(&back);
        expect_int(utf8_address_decode(&back, str_from(bad[i])), false, bad[i]);
        expect_int(back.length, 0, bad[i]);
    }
    assert_false(utf8_address_xtext_encode(&back, STR("\xc3")));
    buf_free(&out);
    buf_free(&back);
}

static void test_utf8(void **state) {
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c += c < 0x3000 ? 1 : 37) {
        struct buf out = {0};
        uint32_t got = 0;
        bool good = utf8_append(&out, c);
        assert_int_equal(good, c < 0xd800 || c > 0xdfff);
        if (good) {
            assert_int_equal(utf8_decode(buf_str(&out), &got), out.length);
            assert_int_equal(got, c);
            assert_true(str_is_utf8(buf_str(&out)));
        }
        buf_free(&out);
    }
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xc3",
                                      "\xe2\x82",
                                      "\xff"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        uint32_t got = 0;
        expect_int(utf8_decode(str_from(bad[i]), &got), 0, bad[i]);
    }
}

static void test_log_text(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"plain text", "plain text"},
        {"a\r\nb\tc\x1b[31m\x7f", "a??b?c?[31m?"},
        {"j\303\266rg", "j\303\266rg"},
        {"\303\x28\xff", "?(?"},
        {"a\302\205b\342\200\250c\342\200\256d", "a?b?c?d"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        char array[64];
        assert_true(log_text_append(&out, str_from(rows[i][0]), 0));
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        expect_str(str_from(log_text(array, sizeof array, str_from(rows[i][0]))), rows[i][1], rows[i][0]);
        buf_free(&out);
    }
    struct buf out = {0};
    log_text_append(&out, STR("abc\303\266def"), 4);
    expect_str(buf_str(&out), "abc...", "cut before the sequence");
    buf_free(&out);
    for (size_t size = 1; size < 12; size++) {
        char array[32];
        struct str got = str_from(log_text(array, size, STR("ab\303\266\342\202\254")));
        assert_true(got.length < size && str_is_utf8(got));
    }
    expect_str(str_from(LOG_TEXT(STR("x\ny"))), "x?y", "macro");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_base64), cmocka_unit_test(test_xtext),
                                       cmocka_unit_test(test_utf8_address), cmocka_unit_test(test_utf8),
                                       cmocka_unit_test(test_log_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
