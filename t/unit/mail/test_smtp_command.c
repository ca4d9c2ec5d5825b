/* Unit table of lib/mail/smtp_command. */
#include "expect.h"
#include "smtp_command.h"

#define ALL 0xffffU

static void test_split(void **state) {
    (void)state;
    static const char *const rows[][3] = {
        {"QUIT", "QUIT", ""},
        {"  NOOP  a b  ", "NOOP", "a b"},
        {"MAIL FROM:<a@b> SIZE=1\t", "MAIL", "FROM:<a@b> SIZE=1"},
        {" ", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str verb, argument;
        expect_int(smtp_command_split(str_from(rows[i][0]), &verb, &argument), rows[i][1] != NULL, rows[i][0]);
        if (rows[i][1] == NULL) continue;
        expect_str(verb, rows[i][1], rows[i][0]);
        expect_str(argument, rows[i][2], rows[i][0]);
    }
    assert_true(smtp_command_is_foreign(STR("get")));
    assert_true(smtp_command_is_foreign(STR("Received:")));
    assert_true(smtp_command_is_foreign(STR("\x16\x03\x01")));
    assert_false(smtp_command_is_foreign(STR("EHLO")));
}

static void test_mail(void **state) {
    (void)state;
    static const struct {
        const char *argument;
        unsigned offered;
        unsigned code; /* 0: accepted */
        const char *status;
    } rows[] = {
        {"FROM:<a@b.example>", 0, 0, NULL},
        {"from:<>", 0, 0, NULL},
        {"FROM: <a@b.example>", 0, 0, NULL},
        {"FROM:<a@b.example> SIZE=1000 BODY=8bitmime", ALL, 0, NULL},
        {"FROM:<a@b.example> BODY=BINARYMIME", ALL, 0, NULL},
        {"FROM:<a@b.example> BODY=BINARYMIME", SMTP_PARAMETER_8BITMIME, 501, "5.5.4"},
        {"FROM:<a@b.example> BODY=9BIT", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> SIZE=99999999999999999999", ALL, 0, NULL},
        {"FROM:<a@b.example> SIZE=999999999999999999999", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> SIZE=9999999999999999999x", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> SIZE=-1", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> SIZE", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> SIZE=", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> SIZE=1 size=2", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> FOO=1", ALL, 555, "5.5.4"},
        {"FROM:<a@b.example> RET=FULL", 0, 555, "5.5.4"},
        {"FROM:<a@b.example> RET=hdrs ENVID=QQ+2B314159", ALL, 0, NULL},
        {"FROM:<a@b.example> ENVID=a+0Ab", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> ENVID=a+zzb", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> AUTH=<>", ALL, 0, NULL},
        {"FROM:<a@b.example> AUTH=e+3Dmc2@example.com", ALL, 0, NULL},
        {"FROM:<a@b.example> REQUIRETLS", ALL, 0, NULL},
        {"FROM:<a@b.example> REQUIRETLS=1", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> SMTPUTF8=1", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> BY=120;RT MT-PRIORITY=-3", ALL, 0, NULL},
        {"FROM:<a@b.example> BY=-5;R", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> MT-PRIORITY=10", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> HOLDFOR=10", ALL, 0, NULL},
        {"FROM:<a@b.example> HOLDFOR=10 HOLDUNTIL=2026-01-01T00:00:00Z", ALL, 501, "5.5.4"},
        {"FROM:<j\303\266@b.example> SMTPUTF8", ALL, 0, NULL},
        {"FROM:<j\303\266@b.example>", ALL, 550, "5.6.7"},
        {"FROM:<j\303\266@b.example> SMTPUTF8", 0, 550, "5.6.7"},
        {"FROM:<a@b_!>", 0, 501, "5.1.7"},
        {"FROM:<a@b.example>SIZE=1", ALL, 501, "5.1.7"},
        {"FROM <a@b.example>", 0, 501, "5.5.4"},
        {"TO:<a@b.example>", 0, 501, "5.5.4"},
        {"", 0, 501, "5.5.4"},
        {"FROM:<a@b.example> =x", ALL, 501, "5.5.4"},
        {"FROM:<a@b.example> A_B=x", ALL, 501, "5.5.4"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct smtp_mail mail;
        struct smtp_command_error error = {0};
        struct buf status = {0};
        bool good = smtp_parse_mail(str_from(rows[i].argument), rows[i].offered, 0, &mail, &error);
        expect_int(error.reply_code, rows[i].code, rows[i].argument);
        expect_int(good, rows[i].code == 0, rows[i].argument);
        if (!good) {
            status_code_append(&status, error.status);
            expect_str(buf_str(&status), rows[i].status, rows[i].argument);
        }
        buf_free(&status);
    }
}

static void test_mail_fields(void **state) {
    (void)state;
    struct smtp_mail mail;
    struct smtp_command_error error;
    assert_true(smtp_parse_mail(STR("FROM:<a@b.example> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=x AUTH=<> REQUIRETLS "
                                    "BY=120;NT MT-PRIORITY=4 SMTPUTF8 HOLDUNTIL=2026-01-01T00:00:00Z"),
                                ALL, 0, &mail, &error));
    assert_int_equal(mail.size, 1000);
    assert_true(mail.has_size && mail.has_body && mail.smtputf8 && mail.has_auth && mail.requiretls && mail.has_by);
    assert_int_equal(mail.body, SMTP_BODY_8BITMIME);
    assert_int_equal(mail.ret, SMTP_RET_HDRS);
    expect_str(mail.envid, "x", "envid");
    expect_str(mail.auth, "<>", "auth");
    assert_int_equal(mail.by_time, 120);
    assert_int_equal(mail.by_mode, 'N');
    assert_true(mail.by_trace);
    assert_int_equal(mail.priority, 4);
}

static void test_rcpt(void **state) {
    (void)state;
    static const struct {
        const char *argument;
        unsigned flags, code, notify;
        const char *type, *orcpt;
    } rows[] = {
        {"TO:<a@b.example>", 0, 0, 0, "", ""},
        {"TO:<postmaster>", 0, 0, 0, "", ""},
        {"TO:<>", 0, 501, 0, NULL, NULL},
        {"TO:<user>", 0, 501, 0, NULL, NULL},
        {"TO:<a@b.example> NOTIFY=success,FAILURE,delay", 0, 0, 14, "", ""},
        {"TO:<a@b.example> NOTIFY=NEVER", 0, 0, 1, "", ""},
        {"TO:<a@b.example> NOTIFY=NEVER,DELAY", 0, 501, 0, NULL, NULL},
        {"TO:<a@b.example> NOTIFY=DELAY,", 0, 501, 0, NULL, NULL},
        {"TO:<a@b.example> ORCPT=rfc822;a+2Bb@c.example", 0, 0, 0, "rfc822", "a+2Bb@c.example"},
        {"TO:<a@b.example> ORCPT=rfc822", 0, 501, 0, NULL, NULL},
        {"TO:<a@b.example> ORCPT=;x", 0, 501, 0, NULL, NULL},
        {"TO:<a@b.example> ORCPT=utf-8;j\\x{F6}@c.example", 0, 0, 0, "utf-8", "j\\x{F6}@c.example"},
        {"TO:<a@b.example> ORCPT=utf-8;j\303\266@c.example", UINT32_C(1), 0, 0, "utf-8", "j\303\266@c.example"},
        {"TO:<a@b.example> ORCPT=utf-8;j\303\266@c.example", 0, 501, 0, NULL, NULL},
        {"TO:<a@b.example> SIZE=1", 0, 555, 0, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct smtp_recipient recipient;
        struct smtp_command_error error = {0};
        bool good = smtp_parse_rcpt(str_from(rows[i].argument), ALL, rows[i].flags, &recipient, &error);
        expect_int(error.reply_code, rows[i].code, rows[i].argument);
        expect_int(good, rows[i].code == 0, rows[i].argument);
        if (!good) continue;
        expect_int(recipient.notify, rows[i].notify, rows[i].argument);
        expect_str(recipient.orcpt_type, rows[i].type, rows[i].argument);
        expect_str(recipient.orcpt, rows[i].orcpt, rows[i].argument);
    }
    struct buf out = {0};
    smtp_append_notify(&out, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
    expect_str(buf_str(&out), "SUCCESS,DELAY", "notify");
    buf_free(&out);
}

static void test_bdat(void **state) {
    (void)state;
    static const struct {
        const char *argument;
        unsigned code;
        uint64_t size;
        bool last;
    } rows[] = {
        {"100", 0, 100, false},      {"0 last", 0, 0, true},  {"100 LAST", 0, 100, true},
        {"", 501, 0, false},         {"x", 501, 0, false},    {"1 x", 501, 0, false},
        {"1 LAST x", 501, 0, false}, {"1001", 552, 0, false}, {"99999999999999999999", 501, 0, false},
        {"-1", 501, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct smtp_command_error error = {0};
        uint64_t size = 0;
        bool last = false;
        bool good = smtp_parse_bdat(str_from(rows[i].argument), 1000, &size, &last, &error);
        expect_int(error.reply_code, rows[i].code, rows[i].argument);
        expect_int(good, rows[i].code == 0, rows[i].argument);
        expect_int(size, rows[i].size, rows[i].argument);
        expect_int(last, rows[i].last, rows[i].argument);
    }
}

static void test_attributes(void **state) {
    (void)state;
    struct smtp_attribute attributes[SMTP_ATTRIBUTES_MAX];
    struct smtp_command_error error;
    struct buf values = {0};
    size_t count = 0;
    assert_true(smtp_parse_attributes(STR("NAME=spike.example ADDR=[UNAVAILABLE] HELO=a+20b PORT=[tempunavail] LOGIN="),
                                      &values, attributes, &count, &error));
    assert_int_equal(count, 5);
    expect_str(attributes[0].name, "NAME", "name");
    expect_str(attributes[0].value, "spike.example", "value");
    assert_true(attributes[1].unavailable && !attributes[1].temporary);
    expect_str(attributes[2].value, "a b", "decoded");
    assert_true(attributes[3].unavailable && attributes[3].temporary);
    expect_str(attributes[4].value, "", "empty");
    static const char *const bad[] = {"", "NAME", "=x", "NAME=a+0Ab", "NAME=+zz", "NAME=a=b"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        buf_clear(&values);
        expect_int(smtp_parse_attributes(str_from(bad[i]), &values, attributes, &count, &error), false, bad[i]);
    }
    buf_free(&values);
}

static void test_helo(void **state) {
    (void)state;
    static const struct {
        const char *argument;
        enum smtp_helo_kind kind;
    } rows[] = {
        {"", SMTP_HELO_MISSING},
        {"mail.example.com", SMTP_HELO_FQDN},
        {"mail.example.com.", SMTP_HELO_FQDN},
        {"localhost", SMTP_HELO_NAME},
        {"[192.0.2.1]", SMTP_HELO_LITERAL},
        {"[IPv6:::1]", SMTP_HELO_LITERAL},
        {"[192.0.2]", SMTP_HELO_BAD_LITERAL},
        {"[]", SMTP_HELO_BAD_LITERAL},
        {"192.0.2.1", SMTP_HELO_ADDRESS},
        {"2001:db8::1", SMTP_HELO_ADDRESS},
        {"a b", SMTP_HELO_INVALID},
        {"a_b.example", SMTP_HELO_INVALID},
        {"-a.example", SMTP_HELO_INVALID},
        {"a..b", SMTP_HELO_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        expect_int(smtp_helo_classify(str_from(rows[i].argument), false), rows[i].kind, rows[i].argument);
    }
    expect_int(smtp_helo_classify(STR("a_b.example"), true), SMTP_HELO_FQDN, "underscore");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split), cmocka_unit_test(test_mail), cmocka_unit_test(test_mail_fields),
        cmocka_unit_test(test_rcpt),  cmocka_unit_test(test_bdat), cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_helo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
