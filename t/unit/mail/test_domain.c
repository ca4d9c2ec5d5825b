/* Unit table of lib/mail/domain. */
#include "expect.h"
#include "domain.h"

#define L16 "abcdefghijklmnop"
#define D63 L16 L16 L16 "abcdefghijklmno"

static void test_valid(void **state) {
    (void)state;
    static const struct {
        const char *name;
        unsigned flags;
        bool valid;
    } rows[] = {
        {"example.com", 0, true},
        {"localhost", 0, true},
        {"localhost", DOMAIN_QUALIFIED, false},
        {"a.b", DOMAIN_QUALIFIED, true},
        {"example.com.", 0, false},
        {"example.com.", DOMAIN_TRAILING_DOT, true},
        {"example.com..", DOMAIN_TRAILING_DOT, false},
        {".", DOMAIN_TRAILING_DOT, false},
        {"", 0, false},
        {".a", 0, false},
        {"a..b", 0, false},
        {"-a.b", 0, false},
        {"a-.b", 0, false},
        {"a_b.c", 0, false},
        {"a_b.c", DOMAIN_UNDERSCORE, true},
        {"1.2.3.4", 0, false},
        {"1a.2b", 0, true},
        {"a.123", 0, false},
        {D63 ".c", 0, true},
        {"x" D63 ".c", 0, false},
        {"a b.c", 0, false},
        {D63 "." D63 "." D63 "." D63, 0, true},
        {D63 "." D63 "." D63 "." D63 ".a", 0, false},
        {"b\303\274cher.example", 0, false},
        {"b\303\274cher.example", DOMAIN_UTF8, true},
        {"b\303cher.example", DOMAIN_UTF8, false},
        {"\342\200\256a.example", DOMAIN_UTF8, false},
        {"xn--bcher-kva.example", 0, true},
        {"a\nb.example", 0, false},
        {"b\303\274.de.", DOMAIN_UTF8, false},
        {"b\303\274.de.", DOMAIN_UTF8 | DOMAIN_TRAILING_DOT, true},
        {"b\303\274.de..", DOMAIN_UTF8 | DOMAIN_TRAILING_DOT, false},
        {"b\303\274ch@r.example", DOMAIN_UTF8, false},
        {"b\303\274 ch.example", DOMAIN_UTF8, false},
        {"b\303\274_ch.example", DOMAIN_UTF8 | DOMAIN_UNDERSCORE, false},
        {"b\303\274\343\200\202example", DOMAIN_UTF8, false},
        {"\342\204\200\303\274.example", DOMAIN_UTF8, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        expect_int(domain_is_valid(str_from(rows[i].name), rows[i].flags), rows[i].valid, rows[i].name);
    }
}

static void test_literal(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum domain_kind kind;
        const char *address;
    } rows[] = {
        {"[192.0.2.1]", DOMAIN_LITERAL_IPV4, "192.0.2.1"},
        {"[IPv6:::1]", DOMAIN_LITERAL_IPV6, "::1"},
        {"[ipv6:2001:db8::1]", DOMAIN_LITERAL_IPV6, "2001:db8::1"},
        {"[IPv6:x]", DOMAIN_INVALID, ""},
        {"[192.0.2.256]", DOMAIN_INVALID, ""},
        {"[192.0.2]", DOMAIN_INVALID, ""},
        {"[]", DOMAIN_INVALID, ""},
        {"[", DOMAIN_INVALID, ""},
        {"[x:y]", DOMAIN_LITERAL_GENERAL, ""},
        {"[x-:y]", DOMAIN_INVALID, ""},
        {"[x:]", DOMAIN_INVALID, ""},
        {"[x:y z]", DOMAIN_INVALID, ""},
        {"example.com", DOMAIN_NAME, ""},
        {"[192.0.2.1", DOMAIN_INVALID, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        expect_int(domain_classify(str_from(rows[i].text), 0), rows[i].kind, rows[i].text);
        expect_str(domain_literal_address(str_from(rows[i].text)), rows[i].address, rows[i].text);
    }
    struct buf out = {0};
    domain_append_literal(&out, STR("::1"));
    domain_append_literal(&out, STR("192.0.2.1"));
    expect_str(buf_str(&out), "[IPv6:::1][192.0.2.1]", "append");
    buf_free(&out);
}

static void test_idn(void **state) {
    (void)state;
    static const struct {
        const char *name, *ascii, *unicode;
    } rows[] = {
        {"Example.COM.", "example.com", "example.com"},
        {"B\303\274cher.example", "xn--bcher-kva.example", "b\303\274cher.example"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example", "b\303\274cher.example"},
        {"fa\303\237.de", "xn--fa-hia.de", "fa\303\237.de"},
        {"\303\274..de", NULL, NULL},
        {"\377.de", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        expect_int(domain_append_ascii(&out, str_from(rows[i].name)), rows[i].ascii != NULL, rows[i].name);
        expect_str(buf_str(&out), rows[i].ascii ? rows[i].ascii : "", rows[i].name);
        buf_clear(&out);
        expect_int(domain_append_unicode(&out, str_from(rows[i].name)), rows[i].unicode != NULL, rows[i].name);
        expect_str(buf_str(&out), rows[i].unicode ? rows[i].unicode : "", rows[i].name);
        buf_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_valid), cmocka_unit_test(test_literal),
                                       cmocka_unit_test(test_idn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
