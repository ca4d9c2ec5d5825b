/* Unit table of lib/mail/received. */
#include "expect.h"
#include "received.h"
#include "header.h"

static void test_full(void **state) {
    (void)state;
    struct mail_address recipient;
    struct buf out = {0};
    assert_int_equal(mail_address_parse(STR("user@example.org"), 0, &recipient), MAIL_ADDRESS_OK);
    struct received received = {.helo = STR("client.example.com"),
                                .client_name = STR("client.example.com"),
                                .client_address = STR("192.0.2.1"),
                                .by = STR("mx.example.org"),
                                .with = STR("ESMTPS"),
                                .queue_id = STR("ABC123"),
                                .recipient = &recipient,
                                .date = 1795439283,
                                .tls_protocol = STR("TLSv1.3"),
                                .tls_cipher = STR("TLS_AES_256_GCM_SHA384 (256/256 bits)"),
                                .tls_details = STR("key-exchange X25519"),
                                .mail_name = STR("tern"),
                                .user_id = -1};
    assert_true(received_append(&out, &received));
    expect_str(buf_str(&out),
               "Received: from client.example.com (client.example.com [192.0.2.1])\n"
               "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n"
               "\tkey-exchange X25519) (No client certificate requested)\n"
               "\tby mx.example.org (tern) with ESMTPS id ABC123 for <user@example.org>;\n"
               "\tMon, 23 Nov 2026 13:08:03 +0000\n",
               "full");
    buf_free(&out);
}

static void test_injection(void **state) {
    (void)state;
    struct buf out = {0};
    struct received received = {.helo = STR("a\r\nBcc: x@y (b) <c>;"),
                                .client_name = STR("n)\nx"),
                                .client_address = STR("2001:db8::1"),
                                .by = STR("mx"),
                                .with = STR("ESMTPA"),
                                .queue_id = STR("Q"),
                                .authenticated = STR("me) by evil\n"),
                                .user_id = -1};
    assert_true(received_append(&out, &received));
    expect_str(buf_str(&out),
               "Received: from a??Bcc:?x@y??b???c?? (n??x [IPv6:2001:db8::1])\n"
               "\t(Authenticated sender: me??by?evil?) by mx with ESMTPA id Q;\n"
               "\tThu, 1 Jan 1970 00:00:00 +0000\n",
               "injection");
    buf_free(&out);
}

/* What a certificate says of its owner ends no quotes and no comment. */
static void test_client_certificate(void **state) {
    (void)state;
    static const struct {
        enum received_tls_client client;
        const char *text;
    } rows[] = {
        {RECEIVED_CLIENT_UNASKED, "(No client certificate requested)"},
        {RECEIVED_CLIENT_SILENT, "(Client did not present a certificate)"},
        {RECEIVED_CLIENT_UNVERIFIED, "(Client CN \"a?? ?b??\", Issuer \"Root\" (not verified))"},
        {RECEIVED_CLIENT_VERIFIED, "(Client CN \"a?? ?b??\", Issuer \"Root\" (verified OK))"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        struct received received = {.client_address = STR("192.0.2.1"),
                                    .by = STR("mx"),
                                    .tls_protocol = STR("TLSv1.3"),
                                    .tls_client = rows[i].client,
                                    .tls_subject = STR("a\") (b\\\n"),
                                    .tls_issuer = STR("Root"),
                                    .user_id = -1};
        assert_true(received_append(&out, &received));
        if (str_find_str(buf_str(&out), str_from(rows[i].text)) == STR_NONE) fail_msg("%zu: %s", i, buf_string(&out));
        buf_free(&out);
    }
}

static void test_local(void **state) {
    (void)state;
    struct buf out = {0};
    struct received received = {.by = STR("mx"), .queue_id = STR("Q"), .user_id = 1000};
    assert_true(received_append(&out, &received));
    expect_str(buf_str(&out), "Received: by mx (from userid 1000) id Q;\n\tThu, 1 Jan 1970 00:00:00 +0000\n", "local");
    buf_free(&out);
}

static void test_protocol(void **state) {
    (void)state;
    assert_string_equal(received_protocol(0), "SMTP");
    assert_string_equal(received_protocol(RECEIVED_EHLO), "ESMTP");
    assert_string_equal(received_protocol(RECEIVED_EHLO | RECEIVED_TLS | RECEIVED_AUTHENTICATED), "ESMTPSA");
    assert_string_equal(received_protocol(RECEIVED_EHLO | RECEIVED_UTF8 | RECEIVED_TLS), "UTF8SMTPS");
    assert_string_equal(received_protocol(RECEIVED_LMTP), "LMTP");
    assert_string_equal(received_protocol(RECEIVED_LMTP | RECEIVED_UTF8 | RECEIVED_AUTHENTICATED), "UTF8LMTPA");
}

static void test_fields(void **state) {
    (void)state;
    struct buf out = {0};
    struct mail_address address;
    assert_int_equal(mail_address_parse(STR("a@b.example"), 0, &address), MAIL_ADDRESS_OK);
    message_id_field_append(&out, 1795439283, STR("ABC"), STR("mx.example\n"));
    date_field_append(&out, 1795439283, 120);
    from_field_append(&out, STR("J. Doe"), &address);
    from_field_append(&out, STR(""), &address);
    from_field_append(&out, STR("evil\nBcc: x"), &address);
    expect_str(buf_str(&out),
               "Message-ID: <20261123130803.ABC@mx.example?>\nDate: Mon, 23 Nov 2026 15:08:03 +0200\n"
               "From: \"J. Doe\" <a@b.example>\nFrom: a@b.example\nFrom: a@b.example\n",
               "fields");
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full), cmocka_unit_test(test_injection), cmocka_unit_test(test_client_certificate),
                                       cmocka_unit_test(test_local), cmocka_unit_test(test_protocol),
                                       cmocka_unit_test(test_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
