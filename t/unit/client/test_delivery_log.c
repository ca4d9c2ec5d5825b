/* The delivery line: no address in it can pretend to be other fields. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "delivery_log.h"

static void test_addresses(void **state) {
    (void)state;
    static const struct {
        const char *address, *wanted;
    } rows[] = {{"a@x.test", "a@x.test"},
                {"", ""},
                {"a", "a"},
                {"a b@x.test", "\"a b\"@x.test"},
                {"a>, relay=none, status=sent (x@x.test", "\"a>, relay=none, status=sent (x\"@x.test"},
                {"a\"b@x.test", "\"a\\\"b\"@x.test"},
                {"gr\xc3\xbc@x.test", "gr\xc3\xbc@x.test"},
                {"no address>, status=sent@", "no?address???status=sent@"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = buf_make(0);
        delivery_log_address(&out, str_from(rows[i].address));
        if (!str_equal(buf_str(&out), str_from(rows[i].wanted))) fail_msg("row %zu: %s", i, buf_string(&out));
        buf_free(&out);
    }
}

static void test_words(void **state) {
    (void)state;
    static const struct {
        enum delivery_action action;
        const char *word, *probe_word;
    } rows[] = {{DELIVERY_DELIVERED, "sent", "deliverable"},      {DELIVERY_RELAYED, "sent", "deliverable"},
                {DELIVERY_RELAYED_DSN, "sent", "deliverable"},    {DELIVERY_EXPANDED, "sent", "deliverable"},
                {DELIVERY_DEFERRED, "deferred", "undeliverable"}, {DELIVERY_FAILED, "bounced", "undeliverable"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_string_equal(delivery_status_word(rows[i].action, false), rows[i].word);
        assert_string_equal(delivery_status_word(rows[i].action, true), rows[i].probe_word);
    }
}

static void test_soften(void **state) {
    (void)state;
    static const struct {
        bool soft_bounce;
        enum delivery_action action, softened;
        const char *status, *wanted;
    } rows[] = {{false, DELIVERY_FAILED, DELIVERY_FAILED, "5.1.1", "5.1.1"},
                {true, DELIVERY_FAILED, DELIVERY_DEFERRED, "5.1.1", "4.1.1"},
                {true, DELIVERY_FAILED, DELIVERY_DEFERRED, "5.123.456", "4.123.456"},
                {true, DELIVERY_FAILED, DELIVERY_DEFERRED, "5.1234.67890", "4.1234.67890"},
                {true, DELIVERY_FAILED, DELIVERY_DEFERRED, "", "4"},
                {true, DELIVERY_DEFERRED, DELIVERY_DEFERRED, "4.4.1", "4.4.1"},
                {true, DELIVERY_DELIVERED, DELIVERY_DELIVERED, "2.0.0", "2.0.0"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct config config = {.soft_bounce = rows[i].soft_bounce};
        struct ipc_outcome outcome = {.action = rows[i].action, .status = str_from(rows[i].status)};
        char status[DELIVERY_STATUS_SIZE];
        bool changed = delivery_soften(&config, &outcome, status);
        assert_int_equal(changed, rows[i].action != rows[i].softened);
        assert_int_equal(outcome.action, rows[i].softened);
        if (!str_equal(outcome.status, str_from(rows[i].wanted))) fail_msg("row %zu", i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses), cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_soften)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
