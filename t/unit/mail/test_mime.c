/* Unit table of lib/mail/mime. */
#include "expect.h"
#include "mime.h"

static void test_value(void **state) {
    (void)state;
    static const struct {
        const char *field, *parameters; /* "name=value;" in order found */
        bool malformed;
    } rows[] = {
        {"text/plain", "", false},
        {" text / plain (c) ; charset = utf-8 ", "charset=utf-8;", false},
        {"text/plain; charset=\"a \\\"b\\\" c\"; x=y", "charset=a \"b\" c;x=y;", false},
        {"text/plain; name*=utf-8'de'J%C3%B6rg%zz", "name=J\303\266rg%zz;", false},
        {"text/plain; name*1=b; name*0=a; name*2*=%63", "name=abc;", false},
        {"text/plain; name*0*=utf-8''%41; name*1=%42; name=x", "name=A%42;", false},
        {"text/plain; name*0=a; name*2=c", "name=a;", false},
        {"text/plain; =x; a=b", "a=b;", true},
        {"text/plain; foo; a=b", "a=b;", true},
        {"text/plain; a=\"open", "", true},
        {"text/plain; a=1; A=2", "a=1;", true},
        {"multipart/mixed; boundary==_x:y?z", "boundary==_x:y?z;", false},
        {"text/plain;;; a=b;", "a=b;", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct mime_value value = {0};
        struct buf out = {0};
        assert_true(mime_value_parse(&value, str_from(rows[i].field)));
        for (size_t p = 0; p < value.count; p++) {
            buf_printf(&out, "%.*s=%.*s;", STR_ARGS(value.parameters[p].name), STR_ARGS(value.parameters[p].value));
        }
        expect_str(buf_str(&out), rows[i].parameters, rows[i].field);
        expect_int(value.malformed, rows[i].malformed, rows[i].field);
        mime_value_free(&value);
        buf_free(&out);
    }
    static const char *const bad[] = {"", ";", "/plain", "text/", "text/;"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct mime_value value = {0};
        expect_int(mime_value_parse(&value, str_from(bad[i])), false, bad[i]);
        mime_value_free(&value);
    }
    struct mime_value value = {0};
    assert_true(mime_value_parse(&value, STR("attachment; filename*=iso-8859-1''a")));
    expect_str(value.type, "attachment", "disposition");
    expect_str(mime_value_find(&value, "FileName")->charset, "iso-8859-1", "charset");
    mime_value_free(&value);
    expect_int(mime_encoding_parse(STR(" Base64 (x)")), MIME_BASE64, "base64");
    expect_int(mime_encoding_parse(STR("uuencode")), MIME_ENCODING_UNKNOWN, "unknown");
}

/* Writes "depth:type/subtype[body]" of each part. */
static void describe(struct str message, unsigned depth, size_t parts, struct buf *out, unsigned *problems) {
    struct mime_structure structure;
    mime_walk(message, depth, parts, &structure);
    for (size_t i = 0; i < structure.count; i++) {
        const struct mime_part *part = &structure.parts[i];
        struct str body = str_slice(message, part->body_offset, part->body_offset + part->body_length);
        buf_printf(out, "%u:%s/%s", part->depth, part->type, part->subtype);
        if (!part->is_multipart && !part->is_message) buf_printf(out, "[%.*s]", STR_ARGS(body));
        buf_append_char(out, ' ');
    }
    *problems = structure.problems;
    mime_structure_free(&structure);
}

#define MIXED "Content-Type: multipart/mixed; boundary=B\n\n"

static void test_walk(void **state) {
    (void)state;
    static const struct {
        const char *message, *parts;
        unsigned problems;
    } rows[] = {
        {"", "0:text/plain[] ", 0},
        {"Subject: x\n\nhello\n", "0:text/plain[hello\n] ", 0},
        {"no header\n", "0:text/plain[no header\n] ", 0},
        {"Content-Type: TEXT/HTML\r\n\r\nhello", "0:text/html[hello] ", 0},
        {"Content-Type: ???\n\nhello", "0:text/plain[hello] ", MIME_BAD_TYPE},
        {MIXED "pre\n--B\n\none\n--B\nContent-Type: text/html\n\ntwo\n--B--\nepi\n",
         "0:multipart/mixed 1:text/plain[one] 1:text/html[two] ", 0},
        {MIXED "--B\r\n\r\none\r\n--B--  \r\n", "0:multipart/mixed 1:text/plain[one] ", 0},
        {MIXED "--B\n\none\n--Bx\n--Y\n--B--\n", "0:multipart/mixed 1:text/plain[one\n--Bx\n--Y] ", 0},
        {MIXED "--B\n\none", "0:multipart/mixed 1:text/plain[one] ", MIME_NOT_CLOSED},
        {MIXED "--B\nContent-Type: text/html\n--B\n--B--\n", "0:multipart/mixed 1:text/html[] 1:text/plain[] ", 0},
        {MIXED "--B\nno header\n--B--\n", "0:multipart/mixed 1:text/plain[no header] ", 0},
        {MIXED "--B\nContent-Type: multipart/alternative; boundary=\"B C\"\n\n--B C\n\nin\n--B\n\nout\n--B--\n",
         "0:multipart/mixed 1:multipart/alternative 2:text/plain[in] 1:text/plain[out] ", MIME_NOT_CLOSED},
        {MIXED "--B\nContent-Type: message/rfc822\n\nSubject: in\n" MIXED "--B\n\nx\n--B--\n--B--\n",
         "0:multipart/mixed 1:message/rfc822 2:multipart/mixed 3:text/plain[x] ", 0},
        {"Content-Type: multipart/digest; boundary=B\n\n--B\n\nSubject: x\n\nhello\n--B\n\n\nagain\n--B--\n",
         "0:multipart/digest 1:message/rfc822 2:text/plain[hello] 1:message/rfc822 2:text/plain[again] ", 0},
        {"Content-Type: multipart/digest; boundary=B\n\n--B\nhello\n--B--\n",
         "0:multipart/digest 1:message/rfc822 2:text/plain[hello] ", 0},
        {"Content-Type: multipart/mixed\n\nhello\n", "0:multipart/mixed ", MIME_NO_BOUNDARY},
        {"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n", "0:message/rfc822 ",
         MIME_BAD_ENCODING},
        {"Content-Type: message/rfc822\n\n", "0:message/rfc822 1:text/plain[] ", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        unsigned problems = 0;
        describe(str_from(rows[i].message), 0, 0, &out, &problems);
        expect_str(buf_str(&out), rows[i].parts, rows[i].message);
        expect_int(problems, rows[i].problems, rows[i].message);
        buf_free(&out);
    }
}

static void test_limits(void **state) {
    (void)state;
    struct buf message = {0}, out = {0};
    unsigned problems = 0;
    for (int i = 0; i < 300; i++)
        buf_append(&message, STR("Content-Type: message/rfc822\n\n"));
    struct mime_structure structure;
    mime_walk(buf_str(&message), 0, 0, &structure);
    assert_int_equal(structure.count, MIME_DEPTH_MAX + 1);
    assert_int_equal(structure.problems, MIME_TOO_DEEP);
    mime_structure_free(&structure);
    buf_clear(&message);
    buf_append(&message, STR(MIXED));
    for (int i = 0; i < 20000; i++)
        buf_append(&message, STR("--B\n"));
    mime_walk(buf_str(&message), 0, 0, &structure);
    assert_int_equal(structure.count, MIME_PARTS_MAX);
    assert_true(structure.problems & MIME_TOO_MANY);
    mime_structure_free(&structure);
    describe(STR(MIXED "--B\n\na\n--B\n\nb\n--B--\n"), 0, 2, &out, &problems);
    expect_str(buf_str(&out), "0:multipart/mixed 1:text/plain[a] ", "limit");
    buf_clear(&message);
    buf_append(&message, STR("text/plain"));
    for (int i = 0; i < 5000; i++)
        buf_printf(&message, "; a*%d=x", i);
    struct mime_value value = {0};
    assert_true(mime_value_parse(&value, buf_str(&message)));
    assert_true(value.malformed);
    assert_int_equal(value.parameters[0].value.length, MIME_PARAMETERS_MAX);
    mime_value_free(&value);
    buf_free(&message);
    buf_free(&out);
}

static void test_eight_bit(void **state) {
    (void)state;
    struct mime_structure structure;
    mime_walk(STR("Subject: x\n\nj\303\266\n"), 0, 0, &structure);
    assert_true(structure.eight_bit && !structure.eight_bit_header);
    mime_structure_free(&structure);
    mime_walk(STR("Subject: \303\266\n\n"), 0, 0, &structure);
    assert_true(structure.eight_bit && structure.eight_bit_header);
    mime_structure_free(&structure);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_value), cmocka_unit_test(test_walk),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_eight_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
