/* content_header: fields, hops, what is left out or cut, and where the body begins. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "content_header.h"

/* Runs lines (LF ends) through, text in pieces of at most step bytes; what is stored of the
 * header, "#" where it ends, then the rest. */
static void run(struct content_header *header, const char *text, size_t step, struct buf *out) {
    struct str rest = str_from(text), line, after, body;
    bool ended = false;
    while (rest.length > 0) {
        bool whole = str_cut(rest, '\n', &line, &after);
        if (!whole) line = rest, after = STR_EMPTY;
        for (size_t at = 0; at < line.length; at += step) {
            struct str piece = str_slice(line, at, at + step);
            if (ended) {
                buf_append(out, piece);
            } else if (content_header_text(header, piece, out, &body)) {
                ended = true;
                buf_append_char(out, '#');
                buf_append(out, content_header_withheld(header));
                buf_append(out, body);
            }
        }
        if (whole && ended) {
            buf_append_char(out, '\n');
        } else if (whole && content_header_line_end(header, out)) {
            ended = true;
            buf_append_char(out, '#');
            buf_append(out, content_header_withheld(header));
            if (content_header_withheld(header).length) buf_append_char(out, '\n');
        }
        rest = after;
    }
}

struct row {
    const char *input, *output;
    unsigned hops;
    const char *message_id;
};

static const struct row rows[] = {
    {"Subject: a\n\nbody\n", "Subject: a\n#body\n", 0, ""},
    {"\nbody\n", "#body\n", 0, ""},
    {"body without colon\nmore\n", "#body without colon\nmore\n", 0, ""},
    {"Subject: a\nno colon here\n", "Subject: a\n#no colon here\n", 0, ""},
    {"Subject: a\nword\n", "Subject: a\n#word\n", 0, ""},
    {"Received: x\nReceived: y\n z\nreceived: w\n\n", "Received: x\nReceived: y\n z\nreceived: w\n#", 3, ""},
    {"Message-ID: <a@b>\n\n", "Message-ID: <a@b>\n#", 0, "<a@b>"},
    {"Message-ID:\n <a@b>\nX: y\n\n", "Message-ID:\n <a@b>\nX: y\n#", 0, "<a@b>"},
    {"Bcc: secret@x\n more@x\nTo: a@b\n\n", "To: a@b\n#", 0, ""},
    {"Return-Path : <x>\nTo: a@b\n\n", "To: a@b\n#", 0, ""},
    {"From me Mon Nov 1\nTo: a@b\n\n", "Mailbox-Line: From me Mon Nov 1\nTo: a@b\n#", 0, ""},
    {"To: a@b\nFrom me Mon\n\n", "To: a@b\n#From me Mon\n\n", 0, ""},
    {" leading blank\nTo: a\n", "# leading blank\nTo: a\n", 0, ""},
    {"X: 0123456789012345678901234567890123456789\n more\nY: z\n\n", "X: 01234567890123456789012345678\nY: z\n#", 0,
     ""},
    {": empty name\n", "#: empty name\n", 0, ""},
};

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        for (size_t step = 1; step < 60; step++) {
            struct content_header header;
            struct buf out = buf_make(0);
            content_header_begin(&header, STR("bcc, content-length, resent-bcc, return-path"), 32);
            run(&header, rows[i].input, step, &out);
            assert_string_equal(buf_string(&out), rows[i].output);
            assert_int_equal(header.hops, rows[i].hops);
            assert_true(str_equal(content_header_message_id(&header), str_from(rows[i].message_id)));
            buf_free(&out);
        }
}

static void test_long_name(void **state) {
    (void)state;
    struct buf line = buf_make(0), out = buf_make(0);
    struct content_header header;
    struct str rest;
    for (size_t i = 0; i < 5000; i++)
        buf_append_char(&line, 'a');
    content_header_begin(&header, STR_EMPTY, 100);
    assert_true(content_header_text(&header, buf_str(&line), &out, &rest));
    assert_int_equal(content_header_withheld(&header).length + rest.length, 5000);
    buf_free(&line);
    buf_free(&out);
}

static void test_marks(void **state) {
    (void)state;
    struct content_header header;
    struct buf out = buf_make(0);
    content_header_begin(&header, STR_EMPTY, 1000);
    run(&header, "FROM: a\ndate: b\ncc: c\n\n", 5, &out);
    assert_true(header.has_from && header.has_date && header.has_recipient);
    assert_false(header.has_message_id);
    buf_free(&out);
}

/* RFC 8689 section 5, however the bytes come. */
static void test_tls_required(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool not_required;
    } fields[] = {
        {"TLS-Required: No\n\nx\n", true},
        {"tls-required:no\n\n", true},
        {"Subject: x\nTLS-Required:\n No\nTo: a@b.test\n\n", true},
        {"TLS-Required: no \t\n\n", true},
        {"TLS-Required: Yes\n\n", false},
        {"TLS-Required: Nope\n\n", false},
        {"TLS-Required: No No\n\n", false},
        {"TLS-Required: No\nTLS-Required: Yes\n\n", false},
        {"TLS-Required:\n\n", false},
        {"X-TLS-Required: No\n\n", false},
        {"Subject: x\n\nTLS-Required: No\n", false},
        {"TLS-Required: No                                                  No\n\n", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        for (size_t step = 1; step < 60; step++) {
            struct content_header header;
            struct buf out = {0};
            content_header_begin(&header, STR_EMPTY, 1000);
            run(&header, fields[i].text, step, &out);
            if (content_header_tls_not_required(&header) != fields[i].not_required)
                fail_msg("%s (%zu)", fields[i].text, step);
            buf_free(&out);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_long_name),
                                       cmocka_unit_test(test_marks), cmocka_unit_test(test_tls_required)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
