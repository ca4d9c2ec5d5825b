/* Unit tables of fetch: whom strangers' records may name, and the files of policies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fetch.h"

static void test_public(void **state) {
    (void)state;
    static const struct {
        const char *address;
        bool is_public;
    } rows[] = {
        {"8.8.8.8", true},
        {"1.1.1.1", true},
        {"223.255.255.255", true},
        {"172.15.255.255", true},
        {"172.32.0.1", true},
        {"192.167.1.1", true},
        {"0.0.0.0", false},
        {"10.0.0.1", false},
        {"100.64.0.1", false},
        {"100.128.0.1", true},
        {"127.0.0.1", false},
        {"169.254.169.254", false},
        {"172.16.0.1", false},
        {"172.31.255.255", false},
        {"192.0.0.8", false},
        {"192.0.2.1", false},
        {"192.168.1.1", false},
        {"198.18.0.1", false},
        {"198.19.255.255", false},
        {"198.51.100.1", false},
        {"203.0.113.1", false},
        {"224.0.0.1", false},
        {"240.0.0.1", false},
        {"255.255.255.255", false},
        {"2606:4700::1111", true},
        {"2001:4860:4860::8888", true},
        {"2a00::1", true},
        {"::", false},
        {"::1", false},
        {"::ffff:10.0.0.1", false},
        {"::ffff:8.8.8.8", true},
        {"64:ff9b::a00:1", false},
        {"fe80::1", false},
        {"fc00::1", false},
        {"fd12:3456::1", false},
        {"ff02::1", false},
        {"2001:db8::1", false},
        {"2001::1", false},
        {"2001:1ff::1", false},
        {"2002:a00:1::1", false},
        {"3fff::1", false},
        {"4000::1", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct endpoint endpoint;
        assert_true(endpoint_from_ip(str_from(rows[i].address), 443, &endpoint));
        if (address_is_public(&endpoint) != rows[i].is_public) fail_msg("%s", rows[i].address);
    }
}

static void test_store(void **state) {
    (void)state;
    const struct stored_policy policy = {
        .id = STR("20261128"), .fetched = 1795439283, .policy = STR("version: STSv1\r\nmode: none\r\n")};
    struct stored_policy read;
    struct buf text = {0};
    store_format(&policy, &text);
    assert_true(store_parse(buf_str(&text), &read));
    assert_true(str_equal(read.id, policy.id) && str_equal(read.policy, policy.policy));
    assert_int_equal(read.fetched, policy.fetched);
    for (size_t i = 0; i < text.length; i++) { /* torn or altered anywhere: it does not count */
        assert_false(store_parse(str_slice(buf_str(&text), 0, i), &read));
        text.data[i] ^= 1;
        assert_false(store_parse(buf_str(&text), &read));
        text.data[i] ^= 1;
    }
    buf_free(&text);
    assert_false(store_parse(STR(""), &read));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_public), cmocka_unit_test(test_store)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
