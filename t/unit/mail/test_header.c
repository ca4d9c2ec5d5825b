/* Unit table of lib/mail/header. */
#include "expect.h"
#include "header.h"

static void test_line_kind(void **state) {
    (void)state;
    static const struct {
        const char *line;
        enum header_line kind;
    } rows[] = {
        {"", HEADER_LINE_EMPTY},          {"\n", HEADER_LINE_EMPTY},
        {"\r\n", HEADER_LINE_EMPTY},      {"A: b\n", HEADER_LINE_FIELD},
        {"A:", HEADER_LINE_FIELD},        {"A : b", HEADER_LINE_FIELD},
        {" x", HEADER_LINE_CONTINUATION}, {"\t\r\n", HEADER_LINE_CONTINUATION},
        {"From a@b", HEADER_LINE_MBOX},   {">From a", HEADER_LINE_MBOX},
        {"hello", HEADER_LINE_OTHER},     {": x", HEADER_LINE_OTHER},
        {"a b: c", HEADER_LINE_OTHER},    {"\303\266: c", HEADER_LINE_OTHER},
        {"From: x", HEADER_LINE_FIELD},   {"From x: y", HEADER_LINE_MBOX},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        expect_int(header_line_kind(str_from(rows[i].line)), rows[i].kind, rows[i].line);
    }
}

static void test_walk(void **state) {
    (void)state;
    struct header_reader reader;
    struct header_field field;
    struct buf out = {0};
    struct str message = STR("From x Mon\nSubject: a\r\n b\r\n\tc\r\nTo : d\n\nbody\n");
    header_begin(&reader, message, 0);
    expect_int(header_next(&reader, &field), HEADER_FIELD, "subject");
    expect_str(field.name, "Subject", "name");
    expect_str(field.value, " a\r\n b\r\n\tc", "value");
    expect_str(field.raw, "Subject: a\r\n b\r\n\tc\r\n", "raw");
    assert_true(header_append_unfolded(&out, field.value));
    expect_str(buf_str(&out), "a b\tc", "unfolded");
    expect_int(header_next(&reader, &field), HEADER_FIELD, "to");
    expect_str(field.name, "To", "name");
    expect_int(header_next(&reader, &field), HEADER_END, "end");
    expect_str(str_from_offset(message, reader.offset), "body\n", "body");
    assert_true(header_find(message, "to", &field));
    expect_str(field.value, " d", "found");
    assert_false(header_find(message, "cc", &field));
    buf_free(&out);
}

static void test_ends(void **state) {
    (void)state;
    static const struct {
        const char *message;
        size_t limit;
        enum header_result result;
        size_t offset;
    } rows[] = {
        {"", 0, HEADER_CUT, 0},
        {"A: b", 0, HEADER_CUT, 4},
        {"A: b\nhello\n", 0, HEADER_NO_EMPTY, 5},
        {"\nA: b\n", 0, HEADER_END, 1},
        {" x\n", 0, HEADER_NO_EMPTY, 0},
        {"A: b\nCcccccccc: d\n\n", 10, HEADER_TOO_LONG, 5},
        {"A: b\n c\n d\n e\n f\n\n", 10, HEADER_TOO_LONG, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct header_reader reader;
        struct header_field field;
        enum header_result result;
        header_begin(&reader, str_from(rows[i].message), rows[i].limit);
        while ((result = header_next(&reader, &field)) == HEADER_FIELD)
            continue;
        expect_int(result, rows[i].result, rows[i].message);
        expect_int(reader.offset, rows[i].offset, rows[i].message);
    }
}

static void test_fold(void **state) {
    (void)state;
    struct buf out = {0};
    assert_true(header_append_folded(&out, STR("X"), STR("a\r\nB: c\tx")));
    expect_str(buf_str(&out), "X: a??B: c\tx\n", "injection");
    buf_clear(&out);
    struct buf value = {0};
    for (int i = 0; i < 40; i++)
        buf_append(&value, STR("word "));
    assert_true(header_append_folded(&out, STR("Subject"), buf_str(&value)));
    struct str line, rest = buf_str(&out);
    while (str_cut(rest, '\n', &line, &rest))
        assert_true(line.length <= 78);
    struct buf back = {0};
    struct header_field field;
    assert_true(header_find(buf_str(&out), "subject", &field));
    assert_true(header_append_unfolded(&back, field.value));
    assert_true(str_equal(buf_str(&back), str_trim(buf_str(&value))));
    buf_free(&back);
    buf_free(&value);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_line_kind), cmocka_unit_test(test_walk),
                                       cmocka_unit_test(test_ends), cmocka_unit_test(test_fold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
