/* Unit table of lib/mail/charset. */
#include "expect.h"
#include "charset.h"
#include <iconv.h>

static void expect_converted(const char *name, struct str input, const char *wanted, bool malformed) {
    for (size_t piece = 1; piece <= input.length + 1; piece++) {
        struct charset_converter *converter = charset_open(str_from(name));
        struct buf out = {0};
        assert_non_null(converter);
        for (size_t at = 0; at < input.length; at += piece)
            assert_true(charset_convert(converter, str_slice(input, at, at + piece), at + piece >= input.length, &out));
        expect_str(buf_str(&out), wanted, name);
        expect_int(charset_malformed(converter), malformed, name);
        buf_free(&out);
        charset_close(&converter);
        assert_null(converter);
    }
}

static void test_convert(void **state) {
    (void)state;
    static const struct {
        const char *name, *input, *wanted;
        bool malformed;
    } rows[] = {
        {"us-ascii", "hello", "hello", false},
        {"US-ASCII", "J\303\266rg", "J\303\266rg", false},
        {"utf-8", "J\303\266rg \342\202\254 \360\237\230\200 0123456789",
         "J\303\266rg \342\202\254 \360\237\230\200 0123456789", false},
        {"utf-8", "a\377b", "a\357\277\275b", true},
        {"utf-8", "a\342\202", "a\357\277\275", true},
        {"utf-8", "a\342\202z", "a\357\277\275z", true},
        {"utf-8", "\300\200", "\357\277\275\357\277\275", true},
        {"utf-8", "\355\240\200", "\357\277\275\357\277\275\357\277\275", true},
        {"utf-8", "\360\237\230", "\357\277\275", true},
        {"iso-8859-1", "J\366rg \200", "J\303\266rg \302\200", false},
        {"windows-1252", "\200 \223x\224 \201", "\342\202\254 \342\200\234x\342\200\235 \357\277\275", true},
        {" ISO-8859-15 ", "\244", "\342\202\254", false},
        {"koi8-r", "\360\322\311\327\305\324", "\320\237\321\200\320\270\320\262\320\265\321\202", false},
        {"iso-2022-jp", "\033$B4A;z\033(B!", "\346\274\242\345\255\227!", false},
        {"gb2312", "\304\343\272\303", "\344\275\240\345\245\275", false},
        {"euc-jp", "\264\301\273", "\346\274\242\357\277\275", true},
        {"shift_jis", "\212\277\216\232", "\346\274\242\345\255\227", false},
        {"utf-7", "a+AOQ-b", "a\303\244b", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        expect_converted(rows[i].name, str_from(rows[i].input), rows[i].wanted, rows[i].malformed);
    expect_converted("utf-16", STR("\xfe\xff\0J\0\xf6"), "J\303\266", false);
    expect_converted("utf-16be", STR("\xd8\x3d\xde\0"), "\360\237\230\200", false);
}

/* Our tables against glibc's converters, by each of their names that it knows, too. */
static void test_single(void **state) {
    (void)state;
    static const char *const names[] = {
#define SINGLE(names, ...) names,
#include "charset_single.def"
#undef SINGLE
    };
    unsigned compared = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct str rest = str_from(names[i]), word;
        while (str_next_word(&rest, " ", &word)) {
            char name[60];
            snprintf(name, sizeof name, "%.*s", STR_ARGS(word));
            iconv_t handle = iconv_open("UTF-8", name);
            if (handle == (iconv_t)-1) continue;
            for (int octet = 0; octet < 256; octet++, compared++) {
                char in[1] = {(char)octet}, wanted[8], *from = in, *to = wanted;
                size_t left = 1, room = sizeof wanted;
                bool good = iconv(handle, &from, &left, &to, &room) != (size_t)-1;
                size_t length = sizeof wanted - room;
                struct charset_converter *converter = charset_open(word);
                struct buf out = {0};
                assert_true(charset_convert(converter, str_make(in, 1), true, &out));
                expect_int(charset_malformed(converter), !good, name);
                assert_true(str_equal(buf_str(&out), good ? str_make(wanted, length) : STR("\357\277\275")));
                buf_free(&out);
                charset_close(&converter);
                (void)iconv(handle, NULL, NULL, NULL, NULL);
            }
            iconv_close(handle);
        }
    }
    assert_true(compared > 100 * 256);
}

static void test_names(void **state) {
    (void)state;
    static const char *const unknown[] = {
        "",    "x-unknown", "utf-8//TRANSLIT", "../../etc",
        "a b", "\"x\"",     "utf-8\n\001",     "0123456789012345678901234567890123456789012345"};
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        assert_null(charset_open(str_from(unknown[i])));
        struct charset_converter *converter = charset_open_lenient(str_from(unknown[i]));
        struct buf out = {0}, small = buf_make(3);
        assert_true(charset_convert(converter, STR("\303\266"), true, &out));
        expect_str(buf_str(&out), "\303\266", unknown[i]);
        assert_false(charset_convert(converter, STR("abcdef"), true, &small));
        charset_close(&converter);
        charset_close(&converter);
        buf_free(&out);
        buf_free(&small);
    }
}

/* What stands in one text does not reach into the next. */
static void test_again(void **state) {
    (void)state;
    struct charset_converter *converter = charset_open(STR("iso-2022-jp"));
    struct buf out = {0};
    assert_true(charset_convert(converter, STR("\033$B4A"), true, &out));
    assert_true(charset_convert(converter, STR("ab"), true, &out));
    expect_str(buf_str(&out), "\346\274\242ab", "state");
    buf_clear(&out);
    assert_true(charset_convert(converter, STR("\033$B4"), true, &out));
    assert_true(charset_convert(converter, STR("ab"), true, &out));
    expect_str(buf_str(&out), "\357\277\275ab", "state");
    charset_close(&converter);
    buf_free(&out);
}

static void test_reader(void **state) {
    (void)state;
    static const struct {
        const char *body, *charset, *wanted;
        enum mime_encoding encoding;
    } rows[] = {
        {"J=F6rg\n=\ngr=FC=DFt", "iso-8859-1", "J\303\266rg\r\ngr\303\274\303\237t", MIME_QUOTED_PRINTABLE},
        {"SsO2cmc=", "utf-8", "J\303\266rg", MIME_BASE64},
        {"plain\n", "", "plain\r\n", MIME_7BIT},
        {"", "utf-8", "", MIME_8BIT},
        {"\303", "utf-8", "\357\277\275", MIME_8BIT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct charset_reader reader;
        struct buf block = {0}, all = {0};
        charset_reader_begin(&reader, str_from(rows[i].body), rows[i].encoding, str_from(rows[i].charset));
        while (charset_reader_next(&reader, &block))
            buf_append(&all, buf_str(&block));
        expect_str(buf_str(&all), rows[i].wanted, rows[i].body);
        charset_reader_free(&reader);
        buf_free(&block);
        buf_free(&all);
    }
    /* A character on the border of two blocks. */
    struct buf body = {0}, block = {0}, all = {0};
    for (size_t i = 0; i < 20001; i++)
        buf_append(&body, i % 3 == 0 ? STR("x") : STR("\342\202\254"));
    struct charset_reader reader;
    charset_reader_begin(&reader, buf_str(&body), MIME_8BIT, STR("utf-8"));
    while (charset_reader_next(&reader, &block)) {
        assert_true(str_is_utf8(buf_str(&block)));
        buf_append(&all, buf_str(&block));
    }
    assert_true(str_equal(buf_str(&all), buf_str(&body)));
    charset_reader_free(&reader);
    buf_free(&body);
    buf_free(&block);
    buf_free(&all);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convert), cmocka_unit_test(test_single), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_again), cmocka_unit_test(test_reader)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
