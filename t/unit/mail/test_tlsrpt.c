/* Unit tables of lib/mail/tlsrpt_record and lib/mail/tlsrpt_report. */
#include "expect.h"
#include "tlsrpt_record.h"
#include "tlsrpt_report.h"

static void test_record(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t count; /* 0: no record */
        const char *first;
    } rows[] = {
        {"v=TLSRPTv1; rua=mailto:reports@example.com", 1, "mailto:reports@example.com"},
        {"v=TLSRPTv1;rua=mailto:reports@example.com;", 1, "mailto:reports@example.com"},
        {"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", 1, "https://reporting.example.com/v1/tlsrpt"},
        {"v=TLSRPTv1; rua=mailto:a@b.example , https://c.example/x", 2, "mailto:a@b.example"},
        {"v=TLSRPTv1; x=y; rua=mailto:a@b.example; rua=mailto:c@d.example", 1, "mailto:a@b.example"},
        {"v=TLSRPTv1; rua=ftp://a.example/,mailto:a@b.example", 1, "mailto:a@b.example"},
        {"v=TLSRPTv1; rua=mailto:a%40b@c.example", 1, "mailto:a%40b@c.example"},
        {"v=TLSRPTv1; rua=http://a.example/", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:nodomain", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a@b.example%0d%0aX:y", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a@b.example%", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a@b.example%4", 0, NULL},
        {"v=TLSRPTv1; rua=", 0, NULL},
        {"v=TLSRPTv1; rua", 0, NULL},
        {"v=TLSRPTv1; =x; rua=mailto:a@b.example", 0, NULL},
        {"v=TLSRPTv1;", 0, NULL},
        {"v=TLSRPTv1", 0, NULL},
        {"v=TLSRPTv2; rua=mailto:a@b.example", 0, NULL},
        {"rua=mailto:a@b.example", 0, NULL},
        {"", 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct tlsrpt_record record = {.count = 99};
        bool good = tlsrpt_record_parse(str_from(rows[i].text), &record);
        expect_int(good, rows[i].count > 0, rows[i].text);
        expect_int(record.count, good ? rows[i].count : 99, rows[i].text);
        if (good) expect_str(record.places[0], rows[i].first, rows[i].text);
        if (good) assert_true(tlsrpt_record_is_one(str_from(rows[i].text)));
    }
}

static void test_many_places(void **state) {
    (void)state;
    struct buf text = {0};
    struct tlsrpt_record record;
    buf_append(&text, STR("v=TLSRPTv1; rua="));
    for (int i = 0; i < 20; i++)
        buf_printf(&text, "%smailto:a%d@b.example", i ? "," : "", i);
    assert_true(tlsrpt_record_parse(buf_str(&text), &record));
    assert_int_equal(record.count, TLSRPT_ADDRESS_LIMIT);
    buf_free(&text);
}

static void test_mailbox(void **state) {
    (void)state;
    static const struct {
        const char *place, *address; /* NULL: none */
    } rows[] = {
        {"mailto:a@b.example", "a@b.example"},
        {"MAILTO:a@b.example?subject=x", "a@b.example"},
        {"mailto:a%2Bb@c.example", "a+b@c.example"},
        {"https://a.example/", NULL},
        {"mailto:a@b.example%00", NULL},
        {"mailto:%C3%A9@b.example", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf address = {0};
        expect_int(tlsrpt_place_mailbox(str_from(rows[i].place), &address), rows[i].address != NULL, rows[i].place);
        expect_str(buf_str(&address), rows[i].address ? rows[i].address : "", rows[i].place);
        buf_free(&address);
    }
}

static const struct tlsrpt_outcome success = {.policy_type = TLSRPT_STS,
                                              .policy = STR("version: STSv1\nmode: enforce"),
                                              .mx_patterns = STR("a.test b.test"),
                                              .success = true};
static const struct tlsrpt_outcome failure = {.policy_type = TLSRPT_NO_POLICY,
                                              .result_type = STR("starttls-not-supported"),
                                              .receiving_host = STR("mx\x01.test"),
                                              .reason = STR("a \"quoted\" [[[[[[[[[[[[[[ \\ text")};

/* What was written is read again, and goes on to be counted. */
static void test_journal(void **state) {
    (void)state;
    struct buf text = {0}, again = {0};
    uint64_t good, bad;
    struct tlsrpt_day *day = tlsrpt_day_create(STR("x.test"), STR("v=TLSRPTv1; rua=mailto:a@b.test"));
    tlsrpt_day_add(day, &success, STR("v=TLSRPTv1; rua=mailto:c@d.test"));
    tlsrpt_day_add(day, &failure, tlsrpt_day_record(day));
    tlsrpt_day_note_sent(day, STR("mailto:c@d.test"));
    tlsrpt_day_note_sent(day, STR("mailto:c@d.test"));
    tlsrpt_day_write(day, &text);
    struct tlsrpt_day *read = tlsrpt_day_read(buf_str(&text));
    assert_non_null(read);
    tlsrpt_day_write(read, &again);
    assert_true(str_equal(buf_str(&text), buf_str(&again)));
    expect_str(tlsrpt_day_domain(read), "x.test", "domain");
    expect_str(tlsrpt_day_record(read), "v=TLSRPTv1; rua=mailto:c@d.test", "the last record");
    assert_true(tlsrpt_day_was_sent(read, STR("mailto:c@d.test")));
    assert_false(tlsrpt_day_was_sent(read, STR("mailto:a@b.test")));
    tlsrpt_day_add(read, &failure, tlsrpt_day_record(read));
    tlsrpt_day_counts(read, &good, &bad);
    assert_int_equal(good, 1);
    assert_int_equal(bad, 2);
    for (size_t i = 0; i + 1 < text.length; i++)
        assert_null(tlsrpt_day_read(str_slice(buf_str(&text), 0, i)));
    tlsrpt_day_free(&day);
    tlsrpt_day_free(&read);
    buf_free(&text);
    buf_free(&again);
}

static void test_foreign_journal(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"domain\":1,\"record\":\"\",\"sent\":[],\"policies\":[]}",
        "{\"domain\":\"\",\"record\":\"\",\"sent\":[1],\"policies\":[]}",
        "{\"domain\":\"\",\"record\":\"\",\"sent\":[],\"policies\":{}}",
        "{\"domain\":\"\",\"record\":\"\",\"sent\":[],\"policies\":[{}]}",
        "{\"domain\":\"\",\"record\":\"\",\"sent\":[],\"policies\":[{\"policy\":{},\"summary\":{}}]}",
        "{\"domain\":\"\",\"record\":\"\",\"sent\":[],\"policies\":[{\"policy\":{},\"summary\":"
        "{\"total-successful-session-count\":-1,\"total-failure-session-count\":0}}]}",
        "{\"domain\":\"\",\"record\":\"\",\"sent\":[],\"policies\":[{\"policy\":{},\"failure-details\":[{}],"
        "\"summary\":"
        "{\"total-successful-session-count\":1,\"total-failure-session-count\":0}}]}",
        "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (tlsrpt_day_read(str_from(texts[i]))) fail_msg("%s", texts[i]);
}

/* Whatever comes, a day stays within its bounds, and the sums are right. */
static void test_limits(void **state) {
    (void)state;
    struct tlsrpt_day *day = tlsrpt_day_create(STR("x.test"), STR(""));
    uint64_t good, bad;
    struct buf text = {0};
    for (unsigned i = 0; i < 1000; i++) {
        char policy[20], reason[20];
        struct tlsrpt_outcome outcome = failure;
        snprintf(policy, sizeof policy, "policy %u", i % 50);
        snprintf(reason, sizeof reason, "reason %u", i);
        outcome.policy = str_from(policy);
        outcome.reason = str_from(reason);
        tlsrpt_day_add(day, &outcome, STR(""));
    }
    tlsrpt_day_counts(day, &good, &bad);
    assert_int_equal(bad, 1000);
    tlsrpt_day_write(day, &text);
    struct tlsrpt_day *read = tlsrpt_day_read(buf_str(&text));
    assert_non_null(read);
    tlsrpt_day_free(&day);
    tlsrpt_day_free(&read);
    buf_free(&text);
}

static void test_report(void **state) {
    (void)state;
    struct tlsrpt_day *day = tlsrpt_day_create(STR("x.test"), STR("v=TLSRPTv1; rua=mailto:a@b.test"));
    const struct tlsrpt_sender sender = {.organization = STR("O"),
                                         .contact = STR("c@o.test"),
                                         .report_id = STR("1.x.test@o.test"),
                                         .begin = 1795392000,
                                         .end = 1795478399};
    struct buf text = {0};
    tlsrpt_day_add(day, &success, STR(""));
    tlsrpt_day_report(day, &sender, &text);
    static const char *const parts[] = {"\"organization-name\": \"O\"",
                                        "\"contact-info\": \"c@o.test\"",
                                        "\"start-datetime\": \"2026-11-23T00:00:00Z\"",
                                        "\"end-datetime\": \"2026-11-23T23:59:59Z\"",
                                        "\"report-id\": \"1.x.test@o.test\"",
                                        "\"policy-type\": \"sts\""};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (str_find_str(buf_str(&text), str_from(parts[i])) == STR_NONE)
            fail_msg("%s is not in %s", parts[i], buf_string(&text));
    assert_true(str_find_str(buf_str(&text), STR("rua=")) == STR_NONE); /* our own notes stay here */
    tlsrpt_day_free(&day);
    buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_record),          cmocka_unit_test(test_many_places),
                                       cmocka_unit_test(test_mailbox),         cmocka_unit_test(test_journal),
                                       cmocka_unit_test(test_foreign_journal), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_report)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
