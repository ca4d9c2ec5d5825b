/* Unit table of lib/mail/smtp_reply. */
#include "expect.h"
#include "smtp_reply.h"

static void test_line(void **state) {
    (void)state;
    static const struct {
        const char *line;
        unsigned code; /* 0: refused */
        bool last;
        const char *text;
    } rows[] = {
        {"250 ok", 250, true, "ok"}, {"250-ok", 250, false, "ok"}, {"250", 250, true, ""}, {"250 ", 250, true, ""},
        {"250-", 250, false, ""},    {"25", 0, false, ""},         {"250x", 0, false, ""}, {"150 x", 0, false, ""},
        {"600 x", 0, false, ""},     {"2a0 x", 0, false, ""},      {"", 0, false, ""},     {" 250 x", 0, false, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct smtp_reply_line got = {0};
        expect_int(smtp_reply_parse_line(str_from(rows[i].line), &got), rows[i].code != 0, rows[i].line);
        if (rows[i].code == 0) continue;
        expect_int(got.code, rows[i].code, rows[i].line);
        expect_int(got.last, rows[i].last, rows[i].line);
        expect_str(got.text, rows[i].text, rows[i].line);
    }
}

static void test_accumulate(void **state) {
    (void)state;
    struct smtp_reply reply = smtp_reply_make();
    struct buf out = {0};
    expect_int(smtp_reply_add(&reply, STR("550-5.1.1 No such")), SMTP_REPLY_MORE, "first");
    expect_int(smtp_reply_add(&reply, STR("550 5.1.1 user\x1b[1m")), SMTP_REPLY_DONE, "last");
    smtp_reply_append_line(&out, &reply);
    expect_str(buf_str(&out), "550 5.1.1 No such user?[1m", "line");
    expect_int(smtp_reply_status(&reply).detail, 1, "status");
    smtp_reply_clear(&reply);
    expect_int(smtp_reply_add(&reply, STR("450 5.1.1 class differs")), SMTP_REPLY_DONE, "other class");
    expect_int(smtp_reply_status(&reply).class, 4, "class");
    expect_int(smtp_reply_status(&reply).subject, 0, "no code");
    smtp_reply_clear(&reply);
    expect_int(smtp_reply_add(&reply, STR("250-a")), SMTP_REPLY_MORE, "first");
    expect_int(smtp_reply_add(&reply, STR("550 b")), SMTP_REPLY_BAD, "codes differ");
    smtp_reply_clear(&reply);
    for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++) {
        expect_int(smtp_reply_add(&reply, STR("250-"
                                              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")),
                   SMTP_REPLY_MORE, "many");
    }
    assert_true(reply.text.length <= SMTP_REPLY_TEXT_MAX);
    expect_int(smtp_reply_add(&reply, STR("250 end")), SMTP_REPLY_TOO_LONG, "too many");
    smtp_reply_free(&reply);
    buf_free(&out);
}

static void test_ehlo(void **state) {
    (void)state;
    struct smtp_ehlo ehlo;
    smtp_ehlo_parse(
        STR("mail.example.com PIPELINING\nSIZE 10240000\nsize=5\nAUTH=LOGIN\nAUTH PLAIN LOGIN\nauth=CRAM-MD5\n"
            "8BITMIME\nX-FOO bar\nLIMITS RCPTMAX=50 RCPTDOMAINMAX=3 MAILMAX=x FOO=1\nXCLIENT NAME ADDR\nSTARTTLS"),
        SMTP_EXTENSION_STARTTLS, &ehlo);
    assert_int_equal(ehlo.extensions, SMTP_EXTENSION_SIZE | SMTP_EXTENSION_AUTH | SMTP_EXTENSION_8BITMIME |
                                          SMTP_EXTENSION_LIMITS | SMTP_EXTENSION_XCLIENT);
    assert_int_equal(ehlo.size, 10240000);
    expect_str(ehlo.auth, "PLAIN LOGIN", "auth");
    expect_str(ehlo.xclient, "NAME ADDR", "xclient");
    assert_int_equal(ehlo.rcpt_max, 50);
    assert_int_equal(ehlo.rcpt_domain_max, 3);
    assert_int_equal(ehlo.mail_max, 0);
    smtp_ehlo_parse(STR("mail.example.com"), 0, &ehlo);
    assert_int_equal(ehlo.extensions, 0);
    smtp_ehlo_parse(STR_EMPTY, 0, &ehlo);
    assert_int_equal(ehlo.extensions, 0);
}

static void test_status_code(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool whole, prefix;
        const char *rest;
    } rows[] = {
        {"5.1.1", true, true, ""},        {"2.0.0 ok", false, true, "ok"},  {"5.1.1x", false, false, NULL},
        {"3.1.1", false, false, NULL},    {"5.1", false, false, NULL},      {"5..1", false, false, NULL},
        {"5.1.", false, false, NULL},     {"5.1234.1", false, false, NULL}, {"4.999.999", true, true, ""},
        {"5.1.1234", false, false, NULL}, {"", false, false, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct status_code code;
        struct buf out = {0};
        struct str text = str_from(rows[i].text);
        expect_int(status_code_parse(text, &code), rows[i].whole, rows[i].text);
        if (rows[i].whole) {
            status_code_append(&out, code);
            expect_str(buf_str(&out), rows[i].text, "format");
        }
        expect_int(status_code_take(&text, &code), rows[i].prefix, rows[i].text);
        expect_str(text, rows[i].prefix ? rows[i].rest : rows[i].text, rows[i].text);
        buf_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_line), cmocka_unit_test(test_accumulate),
                                       cmocka_unit_test(test_ehlo), cmocka_unit_test(test_status_code)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
