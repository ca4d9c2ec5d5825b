/* Unit table of lib/mail/crlf_view. */
#include "expect.h"
#include "crlf_view.h"

/* The CR LF form, made the plain way. */
static void make_view(struct str span, struct buf *out, uint64_t *lines) {
    *lines = 0;
    for (size_t i = 0; i < span.length; i++) {
        bool lf = span.data[i] == '\n';
        if (lf) ++*lines;
        if (lf && (i == 0 || span.data[i - 1] != '\r')) buf_append_char(out, '\r');
        buf_append_char(out, span.data[i]);
    }
}

static void test_count(void **state) {
    (void)state;
    static const struct {
        const char *span, *view;
        uint64_t lines;
    } rows[] = {
        {"", "", 0},
        {"\n", "\r\n", 1},
        {"\r\n", "\r\n", 1},
        {"\n\r\n\n", "\r\n\r\n\r\n", 3},
        {"a\rb\n", "a\rb\r\n", 1},
        {"a\r\r\n", "a\r\r\n", 1},
        {"0123456789abcdef\n0123456789abcdef\r\n", "0123456789abcdef\r\n0123456789abcdef\r\n", 2},
        {"0123456789abcde\r\n0123456789abcd\n\n", "0123456789abcde\r\n0123456789abcd\r\n\r\n", 3},
        {"no end", "no end", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct crlf_count count = crlf_view_count(str_from(rows[i].span));
        struct buf out = {0};
        expect_int(count.size, strlen(rows[i].view), rows[i].span);
        expect_int(count.lines, rows[i].lines, rows[i].span);
        assert_true(crlf_view_append_all(&out, str_from(rows[i].span)));
        expect_str(buf_str(&out), rows[i].view, rows[i].span);
        buf_free(&out);
    }
}

struct sink {
    struct buf got;
    size_t allowed;
};
static bool take(void *context, struct str piece) {
    struct sink *sink = context;
    if (sink->allowed == 0) return false;
    sink->allowed--;
    return buf_append(&sink->got, piece);
}

/* Every range of a text of mixed line ends, with and without a cursor. */
static void test_ranges(void **state) {
    (void)state;
    struct str span = STR("one\ntwo\r\n\n\r\rthree\r\n\r\n\nfour");
    struct buf view = {0}, out = {0};
    uint64_t lines = 0;
    make_view(span, &view, &lines);
    for (size_t offset = 0; offset <= view.length + 2; offset++) {
        for (size_t count = 0; count <= view.length + 2; count++) {
            struct str wanted = str_slice(buf_str(&view), offset, offset + count);
            struct crlf_cursor cursor = {0};
            buf_clear(&out);
            assert_true(crlf_view_append(&out, span, offset / 2, offset - offset / 2, &cursor));
            assert_true(str_equal(buf_str(&out), str_slice(buf_str(&view), offset / 2, offset)));
            buf_clear(&out);
            assert_true(crlf_view_append(&out, span, offset, count, &cursor));
            assert_true(str_equal(buf_str(&out), wanted));
            struct sink sink = {.allowed = 1};
            assert_true(crlf_view_write(span, offset, count, NULL, take, &sink));
            assert_true(str_equal(buf_str(&sink.got), wanted));
            buf_free(&sink.got);
            buf_clear(&out);
            cursor.view = view.length + 10; /* behind: does not help */
            assert_true(crlf_view_append(&out, span, offset, count, &cursor));
            assert_true(str_equal(buf_str(&out), wanted));
        }
    }
    buf_free(&view);
    buf_free(&out);
}

static void test_large(void **state) {
    (void)state;
    struct buf span = {0}, view = {0}, out = {0};
    uint64_t lines = 0, seed = 42;
    while (span.length < 300000) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        static const char letters[] = "\n\r\nabcdefghij";
        buf_append_char(&span, letters[(seed >> 33) % (sizeof letters - 1)]);
    }
    make_view(buf_str(&span), &view, &lines);
    struct crlf_count count = crlf_view_count(buf_str(&span));
    expect_int(count.size, view.length, "size");
    expect_int(count.lines, lines, "lines");
    struct crlf_cursor cursor = {0};
    for (uint64_t at = 0; at < view.length; at += 10007)
        assert_true(crlf_view_append(&out, buf_str(&span), at, 10007, &cursor));
    assert_true(str_equal(buf_str(&out), buf_str(&view)));
    for (uint64_t at = 0; at < view.length; at += 9973) {
        buf_clear(&out);
        assert_true(crlf_view_append(&out, buf_str(&span), at, 100, NULL));
        assert_true(str_equal(buf_str(&out), str_slice(buf_str(&view), (size_t)at, (size_t)at + 100)));
    }
    struct sink sink = {.allowed = 2};
    assert_false(crlf_view_write(buf_str(&span), 0, UINT64_MAX, NULL, take, &sink));
    buf_free(&sink.got);
    struct buf small = buf_make(1000);
    assert_false(crlf_view_append_all(&small, buf_str(&span)));
    assert_true(buf_overflowed(&small));
    buf_free(&small);
    struct buf exact = buf_make(view.length);
    assert_true(crlf_view_append_all(&exact, buf_str(&span)));
    buf_free(&exact);
    buf_free(&span);
    buf_free(&view);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_count), cmocka_unit_test(test_ranges),
                                       cmocka_unit_test(test_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
