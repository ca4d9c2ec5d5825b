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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses), cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
