/* Unit table of lib/mail/transfer_reader. */
#include "expect.h"
#include "base64.h"
#include "transfer_reader.h"

static bool take(void *context, struct str piece) {
    return buf_append(context, piece);
}

/* Decodes in rooms of every size, in ranges, and counts. */
static void expect_decoded(struct str body, enum mime_encoding encoding, struct str wanted, bool malformed) {
    for (size_t room = TRANSFER_ROOM_LEAST; room < 40; room++) {
        struct transfer_reader reader;
        struct buf out = {0};
        char block[40];
        size_t got;
        transfer_reader_begin(&reader, body, encoding);
        while ((got = transfer_reader_next(&reader, block, room)) > 0)
            buf_append_bytes(&out, block, got);
        if (!str_equal(buf_str(&out), wanted)) {
            print_error("%.*s: got \"%.*s\", wanted \"%.*s\"\n", STR_ARGS(body), STR_ARGS(buf_str(&out)),
                        STR_ARGS(wanted));
            fail();
        }
        expect_int(reader.malformed, malformed, body.data);
        buf_free(&out);
    }
    expect_int(transfer_reader_size(body, encoding), wanted.length, body.data);
    for (size_t offset = 0; offset <= wanted.length; offset += 3) {
        struct buf out = {0};
        assert_true(transfer_reader_write(body, encoding, offset, 5, take, &out));
        assert_true(str_equal(buf_str(&out), str_slice(wanted, offset, offset + 5)));
        buf_free(&out);
    }
}

static void test_base64(void **state) {
    (void)state;
    static const struct {
        const char *body, *wanted;
        bool malformed;
    } rows[] = {
        {"", "", false},
        {"aGVsbG8=\n", "hello", false},
        {"aGVs\r\nbG8gd29ybGQh\r\n", "hello world!", false},
        {"aG\nVsb\nG8", "hello", true}, /* padding missing */
        {"aGVsbG8=aGVsbG8=", "hellohello", false},
        {"a*GVs-bG8=", "hello", true},
        {"aGVsbG8\n=\n", "hello", false},
        {"YQ==", "a", false},
        {"YWI=", "ab", false},
        {"Y", "", true},
        {"====", "", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        expect_decoded(str_from(rows[i].body), MIME_BASE64, str_from(rows[i].wanted), rows[i].malformed);
    struct buf data = {0}, text = {0}, lines = {0};
    for (unsigned i = 0; i < 1000; i++)
        buf_append_char(&data, (char)(i * 7));
    assert_true(base64_encode(&text, buf_str(&data)));
    for (size_t i = 0; i < text.length; i += 76) {
        buf_append(&lines, str_slice(buf_str(&text), i, i + 76));
        buf_append_char(&lines, '\n');
    }
    expect_decoded(buf_str(&lines), MIME_BASE64, buf_str(&data), false);
    buf_free(&data);
    buf_free(&text);
    buf_free(&lines);
}

static void test_quoted(void **state) {
    (void)state;
    static const struct {
        const char *body, *wanted;
        bool malformed;
    } rows[] = {
        {"a=20b=\nc\nd\r\n", "a bc\r\nd\r\n", false},
        {"J=C3=B6rg =c3=9f", "J\303\266rg \303\237", false},
        {"soft=  \t\r\nline= \n", "softline", false},
        {"blanks  \t\nat the end  ", "blanks\r\nat the end", false},
        {"blanks \t within and many                                                  more.",
         "blanks \t within and many                                                  more.", false},
        {"a=b=zz=", "a=b=zz", true},
        {"=\n=\n", "", false},
        {"= x", "= x", true},
        {"\r\r\na", "\r\r\na", false},
        {"=4", "=4", true},
        {"=00", "", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str wanted = str_from(rows[i].wanted);
        if (str_equal(str_from(rows[i].body), STR("=00"))) wanted = STR("\0");
        expect_decoded(str_from(rows[i].body), MIME_QUOTED_PRINTABLE, wanted, rows[i].malformed);
    }
}

static void test_plain(void **state) {
    (void)state;
    expect_decoded(STR("a\nb=20\r\n\nc  \n"), MIME_7BIT, STR("a\r\nb=20\r\n\r\nc  \r\n"), false);
    expect_decoded(STR("a\nb"), MIME_ENCODING_UNKNOWN, STR("a\r\nb"), false);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_base64), cmocka_unit_test(test_quoted),
                                       cmocka_unit_test(test_plain)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
