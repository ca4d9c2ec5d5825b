/* next_hop: every form, and what is none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "next_hop.h"

static const struct {
    const char *text;
    bool lmtp, good;
    enum next_hop_kind kind;
    const char *host;
    uint16_t port;
} cases[] = {
    {"example.com", false, true, NEXT_HOP_DOMAIN, "example.com", 25},
    {"example.com:26", false, true, NEXT_HOP_DOMAIN, "example.com", 26},
    {"example.com:submission", false, true, NEXT_HOP_DOMAIN, "example.com", 587},
    {"[example.com]", false, true, NEXT_HOP_HOST, "example.com", 25},
    {"[example.com]:2525", false, true, NEXT_HOP_HOST, "example.com", 2525},
    {"[127.0.0.1]:2525", false, true, NEXT_HOP_ADDRESS, "127.0.0.1", 2525},
    {"[IPv6:2001:db8::1]", false, true, NEXT_HOP_ADDRESS, "2001:db8::1", 25},
    {"[ipv6:::1]:24", false, true, NEXT_HOP_ADDRESS, "::1", 24},
    {"[2001:db8::1]:587", false, true, NEXT_HOP_ADDRESS, "2001:db8::1", 587},
    {"inet:host.test:24", true, true, NEXT_HOP_HOST, "host.test", 24},
    {"inet:[::1]:24", true, true, NEXT_HOP_ADDRESS, "::1", 24},
    {"inet:127.0.0.1:24", true, true, NEXT_HOP_ADDRESS, "127.0.0.1", 24},
    {"host.test", true, true, NEXT_HOP_HOST, "host.test", 25},
    {"localhost:24", true, true, NEXT_HOP_HOST, "localhost", 24},
    {"unix:/run/lmtp", true, true, NEXT_HOP_PATH, "/run/lmtp", 0},
    {"UNIX:private/x", true, true, NEXT_HOP_PATH, "private/x", 0},
    {"m\xc3\xbcnchen.example", false, true, NEXT_HOP_DOMAIN, "m\xc3\xbcnchen.example", 25},
    {"_dmz.example", false, true, NEXT_HOP_DOMAIN, "_dmz.example", 25},
    {"", false, false, 0, NULL, 0},
    {"[]", false, false, 0, NULL, 0},
    {"[example.com", false, false, 0, NULL, 0},
    {"[example.com]25", false, false, 0, NULL, 0},
    {"[example.com]:", false, false, 0, NULL, 0},
    {"example.com:", false, false, 0, NULL, 0},
    {"example.com:0", false, false, 0, NULL, 0},
    {"example.com:65536", false, false, 0, NULL, 0},
    {"example.com:-1", false, false, 0, NULL, 0},
    {"example.com:nothing", false, false, 0, NULL, 0},
    {"bad..name", false, false, 0, NULL, 0},
    {"2001:db8::1", false, false, 0, NULL, 0},
    {"unix:", true, false, 0, NULL, 0},
    {"a b", false, false, 0, NULL, 0},
};

static void test_forms(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct next_hop next_hop = {.kind = NEXT_HOP_PATH, .port = 9};
        struct failure failure = {0};
        bool good = next_hop_parse(str_from(cases[i].text), cases[i].lmtp, 25, &next_hop, &failure);
        if (good != cases[i].good) fail_msg("%s: %d", cases[i].text, good);
        if (!good) {
            assert_int_equal(next_hop.port, 9);
            assert_true(failure.text[0] != '\0');
            continue;
        }
        if (next_hop.kind != cases[i].kind || next_hop.port != cases[i].port ||
            !str_equal(next_hop.host, str_from(cases[i].host)))
            fail_msg("%s: kind %d host %.*s port %u", cases[i].text, (int)next_hop.kind, STR_ARGS(next_hop.host),
                     next_hop.port);
    }
}

static void test_list(void **state) {
    (void)state;
    struct str list = STR(" [a.test]:25, b.test c.test,"), text;
    const char *wanted[] = {"[a.test]:25", "b.test", "c.test"};
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        assert_true(next_hop_list_next(&list, &text));
        assert_true(str_equal(text, str_from(wanted[i])));
    }
    assert_false(next_hop_list_next(&list, &text));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
