/* Unit table of lib/mail/address. */
#include "expect.h"
#include "address.h"

#define L16 "abcdefghijklmnop"
#define L64 L16 L16 L16 L16
#define D63 L16 L16 L16 "abcdefghijklmno"

enum {
    UTF8 = MAIL_ADDRESS_UTF8,
    STRICT = MAIL_ADDRESS_STRICT,
    LONG = MAIL_ADDRESS_LONG,
    EMPTY = MAIL_ADDRESS_NULL,
    POST = MAIL_ADDRESS_POSTMASTER,
    LOCAL = MAIL_ADDRESS_LOCAL_ONLY
};

static void test_parse_path(void **state) {
    (void)state;
    static const struct {
        const char *argument;
        unsigned flags;
        enum mail_address_result result;
        const char *internal, *external, *rest;
    } rows[] = {
        {"<user@example.com>", 0, MAIL_ADDRESS_OK, "user@example.com", "user@example.com", ""},
        {"<user@example.com> SIZE=1  BODY=7BIT", 0, MAIL_ADDRESS_OK, "user@example.com", "user@example.com",
         "SIZE=1  BODY=7BIT"},
        {" <user@example.com>", 0, MAIL_ADDRESS_OK, "user@example.com", "user@example.com", ""},
        {" <user@example.com>", STRICT, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"user@example.com x", 0, MAIL_ADDRESS_OK, "user@example.com", "user@example.com", "x"},
        {"user@example.com", STRICT, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<>", EMPTY, MAIL_ADDRESS_OK, "", "", ""},
        {"<> RET=FULL", EMPTY, MAIL_ADDRESS_OK, "", "", "RET=FULL"},
        {"<>", 0, MAIL_ADDRESS_NULL_REFUSED, NULL, NULL, NULL},
        {"", EMPTY, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<", EMPTY, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<user@example.com", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<user@example.com>x", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<<user@example.com>>", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<@a.example,@b.example:user@c.example>", STRICT, MAIL_ADDRESS_OK, "user@c.example", "user@c.example", ""},
        {"<@a.example:>", EMPTY, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<@a.example,user@c.example>", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<@a_b!:user@c.example>", 0, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<\"a b\"@example.com>", STRICT, MAIL_ADDRESS_OK, "a b@example.com", "\"a b\"@example.com", ""},
        {"<\"a\\\"b\\\\c\"@example.com>", 0, MAIL_ADDRESS_OK, "a\"b\\c@example.com", "\"a\\\"b\\\\c\"@example.com", ""},
        {"<\"plain\"@example.com>", 0, MAIL_ADDRESS_OK, "plain@example.com", "plain@example.com", ""},
        {"<\"a@b\"@example.com>", 0, MAIL_ADDRESS_OK, "a@b@example.com", "\"a@b\"@example.com", ""},
        {"<\"a>b\"@example.com>", 0, MAIL_ADDRESS_OK, "a>b@example.com", "\"a>b\"@example.com", ""},
        {"<\"\"@example.com>", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<\"\">", EMPTY, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<\"a@example.com>", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<\"a\\", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<a.\"b c\".d@example.com>", 0, MAIL_ADDRESS_OK, "a.b c.d@example.com", "\"a.b c.d\"@example.com", ""},
        {"<a\"b\"@example.com>", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<a..b@example.com>", 0, MAIL_ADDRESS_OK, "a..b@example.com", "\"a..b\"@example.com", ""},
        {"<a..b@example.com>", STRICT, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<a.@example.com>", STRICT, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<.a@example.com>", STRICT, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<a b@example.com>", 0, MAIL_ADDRESS_SYNTAX, NULL, NULL, NULL},
        {"<a\rb@example.com>", 0, MAIL_ADDRESS_BAD_CHARACTER, NULL, NULL, NULL},
        {"<\"a\nb\"@example.com>", 0, MAIL_ADDRESS_BAD_CHARACTER, NULL, NULL, NULL},
        {"<\"a\\\nb\"@example.com>", 0, MAIL_ADDRESS_BAD_CHARACTER, NULL, NULL, NULL},
        {"<a@exam\nple.com>", 0, MAIL_ADDRESS_BAD_CHARACTER, NULL, NULL, NULL},
        {"<a@>", 0, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<a@-b.example>", 0, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<a@b..example>", 0, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<a@b@c.example>", 0, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<a@b_c.example>", 0, MAIL_ADDRESS_OK, "a@b_c.example", "a@b_c.example", ""},
        {"<a@b_c.example>", STRICT, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<a@b.example.>", 0, MAIL_ADDRESS_OK, "a@b.example", "a@b.example", ""},
        {"<a@b.example.>", STRICT, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<a@[192.0.2.1]>", STRICT, MAIL_ADDRESS_OK, "a@[192.0.2.1]", "a@[192.0.2.1]", ""},
        {"<a@[IPv6:2001:db8::1]> X=1", STRICT, MAIL_ADDRESS_OK, "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]", "X=1"},
        {"<a@[2001:db8::1]>", 0, MAIL_ADDRESS_OK, "a@[2001:db8::1]", "a@[2001:db8::1]", ""},
        {"<a@[192.0.2.256]>", 0, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<a@[x:b@c]>", 0, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<a@[192.0.2.1>", 0, MAIL_ADDRESS_BAD_DOMAIN, NULL, NULL, NULL},
        {"<postmaster>", 0, MAIL_ADDRESS_NO_DOMAIN, NULL, NULL, NULL},
        {"<PostMaster>", POST, MAIL_ADDRESS_OK, "PostMaster", "PostMaster", ""},
        {"<root>", POST, MAIL_ADDRESS_NO_DOMAIN, NULL, NULL, NULL},
        {"<root>", LOCAL, MAIL_ADDRESS_OK, "root", "root", ""},
        {"<\"a@b.example\">", LOCAL, MAIL_ADDRESS_NO_DOMAIN, NULL, NULL, NULL},
        {"<" L64 "@example.com>", 0, MAIL_ADDRESS_OK, L64 "@example.com", L64 "@example.com", ""},
        {"<x" L64 "@example.com>", 0, MAIL_ADDRESS_TOO_LONG, NULL, NULL, NULL},
        {"<x" L64 "@example.com>", LONG, MAIL_ADDRESS_OK, "x" L64 "@example.com", "x" L64 "@example.com", ""},
        {"<" L64 L64 L64 L64 L64 "@example.com>", LONG, MAIL_ADDRESS_TOO_LONG, NULL, NULL, NULL},
        {"<a@" D63 "." D63 "." D63 "." D63 ".xx>", LONG, MAIL_ADDRESS_TOO_LONG, NULL, NULL, NULL},
        {"<abcd@" D63 "." D63 "." D63 ".abc>", 0, MAIL_ADDRESS_OK, "abcd@" D63 "." D63 "." D63 ".abc",
         "abcd@" D63 "." D63 "." D63 ".abc", ""},
        {"<" L64 "@" D63 "." D63 "." D63 ".abc>", 0, MAIL_ADDRESS_TOO_LONG, NULL, NULL, NULL},
        {"<j\303\266rg@example.com>", 0, MAIL_ADDRESS_NEEDS_UTF8, NULL, NULL, NULL},
        {"<j\303\266rg@example.com>", UTF8, MAIL_ADDRESS_OK, "j\303\266rg@example.com", "j\303\266rg@example.com", ""},
        {"<j\303rg@example.com>", UTF8, MAIL_ADDRESS_BAD_CHARACTER, NULL, NULL, NULL},
        {"<j\302\205rg@example.com>", UTF8, MAIL_ADDRESS_BAD_CHARACTER, NULL, NULL, NULL},
        {"<a@b\303\274cher.example>", UTF8, MAIL_ADDRESS_OK, "a@b\303\274cher.example", "a@b\303\274cher.example", ""},
        {"<a@b\303\274cher.example>", 0, MAIL_ADDRESS_NEEDS_UTF8, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct mail_address address;
        struct str rest;
        struct buf out = {0};
        expect_int(mail_address_parse_path(str_from(rows[i].argument), rows[i].flags, &address, &rest), rows[i].result,
                   rows[i].argument);
        if (rows[i].result == MAIL_ADDRESS_OK) {
            struct mail_address again;
            expect_str(mail_address_text(&address), rows[i].internal, rows[i].argument);
            expect_str(rest, rows[i].rest, rows[i].argument);
            assert_true(mail_address_append_external(&out, &address));
            expect_str(buf_str(&out), rows[i].external, rows[i].argument);
            expect_int(mail_address_parse(buf_str(&out), rows[i].flags, &again), MAIL_ADDRESS_OK, "again");
            assert_true(mail_address_equal(&address, &again));
        }
        buf_free(&out);
    }
}

static void test_nul(void **state) {
    (void)state;
    struct mail_address address;
    struct str rest;
    expect_int(mail_address_parse_path(STR("<a\0b@example.com>"), 0, &address, &rest), MAIL_ADDRESS_BAD_CHARACTER,
               "atom");
    expect_int(mail_address_parse_path(STR("<\"a\0b\"@example.com>"), 0, &address, &rest), MAIL_ADDRESS_BAD_CHARACTER,
               "quoted");
    expect_int(mail_address_parse_path(STR("<a@b\0c.example>"), 0, &address, &rest), MAIL_ADDRESS_BAD_CHARACTER,
               "domain");
}

static void test_internal(void **state) {
    (void)state;
    struct mail_address address;
    expect_int(mail_address_from_internal(STR("a b@c@example.com"), 0, &address), MAIL_ADDRESS_OK, "split");
    expect_str(mail_address_local(&address), "a b@c", "local");
    expect_str(mail_address_domain(&address), "example.com", "domain");
    expect_int(mail_address_from_internal(STR("@example.com"), 0, &address), MAIL_ADDRESS_SYNTAX, "no local");
    expect_int(mail_address_from_internal(STR("a@"), LOCAL, &address), MAIL_ADDRESS_BAD_DOMAIN, "no domain");
    expect_int(mail_address_from_internal(STR_EMPTY, EMPTY, &address), MAIL_ADDRESS_OK, "null");
    assert_true(mail_address_is_null(&address));
}

static void test_traits(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned traits;
    } rows[] = {
        {"a@example.com", 0},
        {"-oQ/tmp@example.com", MAIL_ADDRESS_LEADING_DASH},
        {"a%b@example.com", MAIL_ADDRESS_ROUTED},
        {"a b@example.com", MAIL_ADDRESS_QUOTED},
        {"a@b@example.com", MAIL_ADDRESS_ROUTED | MAIL_ADDRESS_QUOTED},
        {"\303\266@example.com", MAIL_ADDRESS_NON_ASCII},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct mail_address address;
        expect_int(mail_address_from_internal(str_from(rows[i].text), UTF8, &address), MAIL_ADDRESS_OK, rows[i].text);
        expect_int(mail_address_traits(&address), rows[i].traits, rows[i].text);
    }
}

static void test_key(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned flags;
        const char *key;
    } rows[] = {
        {"User@Example.COM", 0, "User@example.com"},
        {"User@Example.COM", MAIL_FOLD_LOCAL, "user@example.com"},
        {"A B@Example.COM", MAIL_FOLD_LOCAL | MAIL_FOLD_EXTERNAL, "\"a b\"@example.com"},
        {"a@[IPv6:2001:DB8:0:0:0:0:0:1]", 0, "a@[ipv6:2001:db8::1]"},
        {"a@[192.0.2.1]", 0, "a@[192.0.2.1]"},
        {"a@B\303\274cher.Example", 0, "a@b\303\274cher.example"},
        {"a@B\303\274cher.Example", MAIL_FOLD_ASCII_DOMAIN, "a@xn--bcher-kva.example"},
        {"Root", MAIL_FOLD_LOCAL, "root"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct mail_address address;
        struct buf out = {0};
        expect_int(mail_address_from_internal(str_from(rows[i].text), UTF8 | LOCAL, &address), MAIL_ADDRESS_OK,
                   rows[i].text);
        assert_true(mail_address_append_key(&out, &address, rows[i].flags));
        expect_str(buf_str(&out), rows[i].key, rows[i].text);
        buf_free(&out);
    }
}

static void test_split(void **state) {
    (void)state;
    static const struct {
        const char *local, *delimiters;
        bool owner;
        const char *base, *extension;
    } rows[] = {
        {"user+ext", "+", true, "user", "ext"},
        {"user+a+b", "+", true, "user", "a+b"},
        {"user", "+", true, "user", NULL},
        {"+ext", "+", true, "+ext", NULL},
        {"user+", "+", true, "user", ""},
        {"user-a+b", "+-", true, "user", "a+b"},
        {"owner-list", "-", true, "owner-list", NULL},
        {"owner-list", "-", false, "owner", "list"},
        {"list-request", "-", true, "list-request", NULL},
        {"list-request+x", "+", true, "list-request", "x"},
        {"MAILER-DAEMON", "-", false, "MAILER-DAEMON", NULL},
        {"double-bounce", "-", false, "double-bounce", NULL},
        {"user+ext", "", true, "user+ext", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str base, extension;
        bool split = mail_address_split_extension(str_from(rows[i].local), str_from(rows[i].delimiters), rows[i].owner,
                                                  &base, &extension);
        expect_int(split, rows[i].extension != NULL, rows[i].local);
        expect_str(base, rows[i].base, rows[i].local);
        if (split) expect_str(extension, rows[i].extension, rows[i].local);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_path), cmocka_unit_test(test_nul), cmocka_unit_test(test_internal),
        cmocka_unit_test(test_traits),     cmocka_unit_test(test_key), cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
