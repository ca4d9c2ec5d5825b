/* Unit table of lib/mail/dsn. */
#include "expect.h"
#include "dsn.h"
#include "mime.h"

static struct mail_address address(const char *text) {
    struct mail_address made;
    assert_int_equal(mail_address_parse(str_from(text), MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_NULL, &made), MAIL_ADDRESS_OK);
    return made;
}

static void test_failed(void **state) {
    (void)state;
    struct mail_address to = address("u@example.net"), sender = address("s@example.com");
    struct dsn_recipient recipient = {.final = &to,
                                      .original_type = STR("rfc822"),
                                      .original = STR("o@example.net"),
                                      .action = DSN_ACTION_FAILED,
                                      .status = {5, 1, 1},
                                      .diagnostic = STR("550 5.1.1 No\r\nsuch\nuser\x1b"),
                                      .diagnostic_is_smtp = true,
                                      .remote_mta = STR("mx.example.net"),
                                      .last_attempt = 1795439283};
    struct dsn_report report = {.kind = DSN_FAILED,
                                .from = STR("MAILER-DAEMON@mx.example.com (Mail Delivery System)"),
                                .to = STR("s@example.com"),
                                .subject = STR("Undelivered Mail\nBcc: x"),
                                .message_id = STR("<1@mx.example.com>"),
                                .date = 1795439283,
                                .boundary = STR("BB"),
                                .human_text = STR("Sorry.\r\n"),
                                .reporting_mta = STR("mx.example.com"),
                                .original_envelope_id = STR("ENV"),
                                .arrival_date = 1795439200,
                                .queue_id = STR("ABC"),
                                .sender = &sender,
                                .recipients = &recipient,
                                .recipient_count = 1,
                                .returned = DSN_RETURN_FULL};
    struct buf out = {0};
    assert_true(dsn_append_prefix(&out, &report));
    buf_append(&out, STR("Subject: x\n\nbody\n"));
    assert_true(dsn_append_suffix(&out, &report));
    expect_str(buf_str(&out),
               "From: MAILER-DAEMON@mx.example.com (Mail Delivery System)\n"
               "To: s@example.com\n"
               "Subject: Undelivered Mail Bcc: x\n"
               "Date: Mon, 23 Nov 2026 13:08:03 +0000\n"
               "Message-ID: <1@mx.example.com>\n"
               "Auto-Submitted: auto-replied\n"
               "MIME-Version: 1.0\n"
               "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"BB\"\n"
               "\nThis is a MIME-encapsulated message.\n\n"
               "--BB\n"
               "Content-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\n"
               "Sorry.?\n\n"
               "--BB\n"
               "Content-Description: Delivery report\nContent-Type: message/delivery-status\n\n"
               "Original-Envelope-Id: ENV\n"
               "Reporting-MTA: dns; mx.example.com\n"
               "X-Tern-Queue-ID: ABC\n"
               "X-Tern-Sender: rfc822; s@example.com\n"
               "Arrival-Date: Mon, 23 Nov 2026 13:06:40 +0000\n"
               "\n"
               "Original-Recipient: rfc822; o@example.net\n"
               "Final-Recipient: rfc822; u@example.net\n"
               "Action: failed\nStatus: 5.1.1\n"
               "Remote-MTA: dns; mx.example.net\n"
               "Diagnostic-Code: smtp; 550 5.1.1 No such user?\n"
               "Last-Attempt-Date: Mon, 23 Nov 2026 13:08:03 +0000\n"
               "\n"
               "--BB\n"
               "Content-Description: Undelivered Message\nContent-Type: message/rfc822\n\n"
               "Subject: x\n\nbody\n"
               "\n--BB--\n",
               "failed");
    struct mime_structure structure;
    mime_walk(buf_str(&out), 0, 0, &structure);
    assert_int_equal(structure.count, 5);
    assert_int_equal(structure.problems, 0);
    assert_string_equal(structure.parts[4].subtype, "plain");
    assert_int_equal(structure.parts[4].body_length, 5);
    mime_structure_free(&structure);
    assert_false(dsn_needs_utf8(&report));
    buf_free(&out);
}

static void test_global(void **state) {
    (void)state;
    struct mail_address to = address("j\303\266@example.net");
    struct dsn_recipient recipient = {.final = &to,
                                      .action = DSN_ACTION_DELAYED,
                                      .status = {4, 4, 1},
                                      .diagnostic = STR("no answer"),
                                      .will_retry_until = 1795439283};
    struct dsn_report report = {.kind = DSN_DELAYED,
                                .from = STR("m@x"),
                                .to = STR("s@y"),
                                .subject = STR("Delayed"),
                                .message_id = STR("<1@x>"),
                                .date = 1795439283,
                                .boundary = STR("BB"),
                                .human_text = STR("W\303\266rt"),
                                .reporting_mta = STR("x"),
                                .recipients = &recipient,
                                .recipient_count = 1,
                                .returned = DSN_RETURN_HEADERS,
                                .returned_has_utf8_headers = true};
    struct buf out = {0};
    assert_true(dsn_needs_utf8(&report));
    assert_true(dsn_append_prefix(&out, &report));
    static const char *const wanted[] = {"message/global-delivery-status\n",
                                         "Final-Recipient: utf-8; j\303\266@example.net\n",
                                         "Action: delayed\n",
                                         "Will-Retry-Until: Mon, 23",
                                         "charset=utf-8\n",
                                         "Content-Type: message/global-headers\n",
                                         "Diagnostic-Code: x-tern; no answer\n",
                                         "Content-Description: Delayed Message Headers\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        expect_int(str_find_str(buf_str(&out), str_from(wanted[i])) != STR_NONE, 1, wanted[i]);
    }
    buf_clear(&out);
    report.returned = DSN_RETURN_NOTHING;
    assert_true(dsn_append_suffix(&out, &report));
    expect_str(buf_str(&out), "--BB--\n", "nothing returned");
    buf_free(&out);
    struct buf small = buf_make(100);
    assert_false(dsn_append_prefix(&small, &report));
    buf_free(&small);
}

static void test_recipient_text(void **state) {
    (void)state;
    struct mail_address to = address("u@example.net");
    struct dsn_recipient recipient = {
        .final = &to,
        .diagnostic =
            STR("host mx.example.net[192.0.2.1] said: 550 5.1.1 <u@example.net>: Recipient address rejected")};
    struct buf out = {0};
    assert_true(dsn_append_recipient_text(&out, &recipient, false));
    expect_str(buf_str(&out),
               "<u@example.net>: host mx.example.net[192.0.2.1] said: 550 5.1.1\n"
               "    <u@example.net>: Recipient address rejected\n",
               "text");
    buf_free(&out);
}

/* A notice on several outcomes says which is whose. */
static void test_actions(void **state) {
    (void)state;
    static const struct {
        enum dsn_action action;
        const char *text;
    } rows[] = {{DSN_ACTION_FAILED, "<u@example.net>: failed: why\n"},
                {DSN_ACTION_DELAYED, "<u@example.net>: delayed: why\n"},
                {DSN_ACTION_DELIVERED, "<u@example.net>: delivered: why\n"},
                {DSN_ACTION_RELAYED, "<u@example.net>: relayed: why\n"},
                {DSN_ACTION_EXPANDED, "<u@example.net>: expanded: why\n"},
                {DSN_ACTION_DELIVERABLE, "<u@example.net>: deliverable: why\n"},
                {DSN_ACTION_UNDELIVERABLE, "<u@example.net>: undeliverable: why\n"}};
    struct mail_address to = address("u@example.net");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct dsn_recipient recipient = {.final = &to, .action = rows[i].action, .diagnostic = STR("why")};
        struct buf out = {0};
        assert_true(dsn_append_recipient_text(&out, &recipient, true));
        expect_str(buf_str(&out), rows[i].text, "action");
        buf_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_failed), cmocka_unit_test(test_global),
                                       cmocka_unit_test(test_recipient_text), cmocka_unit_test(test_actions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
