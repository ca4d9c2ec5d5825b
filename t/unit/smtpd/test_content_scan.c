/* content_scan: line ends, dots and the end of data; every case also split at every byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"
#include "content_scan.h"

/* What comes out: text, "|" for a line's end, then "END", "CR" or "LF", or nothing while there is more. */
static void scan_piece(struct content_scan *scan, struct str piece, struct buf *out, struct str *left) {
    struct str text;
    for (;;) {
        switch (content_scan_next(scan, &piece, &text)) {
        case CONTENT_SCAN_MORE:
            *left = piece;
            return;
        case CONTENT_SCAN_TEXT:
            buf_append(out, text);
            break;
        case CONTENT_SCAN_LINE_END:
            buf_append_char(out, '|');
            break;
        case CONTENT_SCAN_DATA_END:
            buf_append(out, STR("END"));
            *left = piece;
            return;
        case CONTENT_SCAN_BARE_CR:
            buf_append(out, STR("CR"));
            *left = piece;
            return;
        case CONTENT_SCAN_BARE_LF:
            buf_append(out, STR("LF"));
            *left = piece;
            return;
        }
    }
}

struct row {
    struct str input;
    const char *strict, *lenient; /* with dots */
};

static const struct row rows[] = {
    {STR_INIT(".\r\n"), "END", "END"},
    {STR_INIT("a\r\n.\r\n"), "a|END", "a|END"},
    {STR_INIT("\r\n.\r\n"), "|END", "|END"},
    {STR_INIT("a\r\n..\r\n.\r\n"), "a|.|END", "a|.|END"},
    {STR_INIT("..a\r\n.b\r\n.\r\n"), ".a|b|END", ".a|b|END"},
    {STR_INIT("a.\r\n.\r\n"), "a.|END", "a.|END"},
    {STR_INIT("a\0b\r\n.\0\r\n.\r\n"), "", ""}, /* looked at below: NUL */
    /* smuggling: none of these ends the data */
    {STR_INIT("a\n.\nb\r\n"), "aLF", "a|.|b|"},
    {STR_INIT("a\n.\r\nb\r\n"), "aLF", "a|.|b|"},
    {STR_INIT("a\r\n.\nb\r\n"), "a|LF", "a|.|b|"},
    {STR_INIT("a\r.\r\nb\r\n"), "aCR", "a .|b|"},
    {STR_INIT("a\r.\rb\r\n"), "aCR", "a . b|"},
    {STR_INIT("a\r\n.\rb\r\n"), "a|CR", "a| b|"},
    {STR_INIT("a\n.\rb\r\n"), "aLF", "a| b|"},
    {STR_INIT("a\r\r\n.\r\n"), "aCR", "a |END"},
    {STR_INIT("a\r\n.\r\r\n.\r\n"), "a|CR", "a| |END"},
    {STR_INIT("a\n\r\n.\r\n"), "aLF", "a||END"},
    {STR_INIT("a\n.\r\n.\r\n"), "aLF", "a|.|END"},
    {STR_INIT("a\n..\r\n.\r\n"), "aLF", "a|.|END"},
};

static const char *wanted(const struct row *row, bool strict) {
    if (memchr(row->input.data, '\0', row->input.length)) return "a?b|?|END";
    return strict ? row->strict : row->lenient;
}

static void check(const struct row *row, bool strict, size_t cut) {
    struct content_scan scan;
    struct buf out = buf_make(0);
    struct str left;
    content_scan_begin(&scan, true, strict);
    scan_piece(&scan, str_slice(row->input, 0, cut), &out, &left);
    bool ended = out.length >= 2 && (str_ends(buf_str(&out), STR("END")) || str_ends(buf_str(&out), STR("CR")) ||
                                     str_ends(buf_str(&out), STR("LF")));
    if (!ended) scan_piece(&scan, str_from_offset(row->input, cut), &out, &left);
    for (size_t i = 0; i < out.length; i++)
        if (out.data[i] == '\0') out.data[i] = '?';
    assert_string_equal(buf_string(&out), wanted(row, strict));
    buf_free(&out);
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (size_t cut = 0; cut <= rows[i].input.length; cut++) {
            check(&rows[i], true, cut);
            check(&rows[i], false, cut);
        }
}

/* After the end nothing of what follows is taken. */
static void test_rest_stays(void **state) {
    (void)state;
    struct content_scan scan;
    struct buf out = buf_make(0);
    struct str left;
    content_scan_begin(&scan, true, true);
    scan_piece(&scan, STR("a\r\n.\r\nMAIL FROM:<>\r\n"), &out, &left);
    assert_int_equal(left.length, strlen("MAIL FROM:<>\r\n"));
    buf_free(&out);
}

static void test_chunks(void **state) {
    (void)state;
    struct content_scan scan;
    struct buf out = buf_make(0);
    struct str left;
    bool bare_cr = false;
    content_scan_begin(&scan, false, true);
    scan_piece(&scan, STR(".a\r\n.\r\nx\r"), &out, &left);
    assert_string_equal(buf_string(&out), ".a|.|x");
    assert_true(content_scan_finish(&scan, &bare_cr));
    assert_true(bare_cr);
    scan_piece(&scan, STR("\n"), &out, &left);
    assert_string_equal(buf_string(&out), ".a|.|x|");
    assert_false(content_scan_finish(&scan, &bare_cr));
    assert_false(bare_cr);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rest_stays),
        cmocka_unit_test(test_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
