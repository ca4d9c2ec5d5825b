/* sasl_message and sasl_prepare: what clients say, good and bad. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sasl_message.h"
#include "sasl_prepare.h"

#define BYTES(literal)                                                                                                 \
    { literal, sizeof(literal) - 1 }

static bool same(struct str got, const char *wanted) {
    return str_equal(got, str_from(wanted));
}

static const struct {
    struct str message;
    const char *authorization, *name, *password; /* name NULL: malformed */
} plains[] = {
    {BYTES("\0tim\0tanstaaftanstaaf"), "", "tim", "tanstaaftanstaaf"}, /* RFC 4616 section 4 */
    {BYTES("Ursel\0Kurt\0xipj3plmq"), "Ursel", "Kurt", "xipj3plmq"},
    {BYTES("\0\xc3\xa4\0\xff"), "", "\xc3\xa4", "\xff"}, /* a password need not be UTF-8 */
    {BYTES(""), NULL, NULL, NULL},
    {BYTES("tim"), NULL, NULL, NULL},
    {BYTES("\0tim"), NULL, NULL, NULL},
    {BYTES("\0tim\0"), NULL, NULL, NULL},
    {BYTES("\0\0x"), NULL, NULL, NULL},
    {BYTES("\0tim\0a\0b"), NULL, NULL, NULL},
    {BYTES("\0\xff\0x"), NULL, NULL, NULL},
    {BYTES("\xff\0tim\0x"), NULL, NULL, NULL},
};

static void test_plain(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(plains); i++) {
        struct sasl_plain plain;
        bool good = sasl_plain_read(plains[i].message, &plain);
        if (good != (plains[i].name != NULL)) fail_msg("row %zu", i);
        if (!good) continue;
        assert_true(same(plain.authorization, plains[i].authorization) && same(plain.name, plains[i].name) &&
                    same(plain.password, plains[i].password));
    }
    struct buf message = buf_make(0);
    struct sasl_plain plain;
    buf_append_char(&message, '\0');
    for (size_t i = 0; i <= SASL_NAME_MAX; i++)
        buf_append_char(&message, 'x');
    buf_append_bytes(&message, "\0y", 2);
    assert_false(sasl_plain_read(buf_str(&message), &plain));
    buf_free(&message);
}

static const struct {
    const char *message;
    enum scram_binding binding;
    const char *binding_name, *authorization, *name, *nonce, *header, *bare; /* name NULL: malformed */
} firsts[] = {
    {"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", SCRAM_BINDING_NONE, "", "", "user", "fyko+d2lbbFgONRv9qkxdawL", "n,,",
     "n=user,r=fyko+d2lbbFgONRv9qkxdawL"},
    {"y,a=other,n=us=2Cer,r=x,ext=1", SCRAM_BINDING_NOT_OURS, "", "other", "us=2Cer", "x", "y,a=other,",
     "n=us=2Cer,r=x,ext=1"},
    {"p=tls-exporter,,n=u,r=x", SCRAM_BINDING_REQUIRED, "tls-exporter", "", "u", "x", "p=tls-exporter,,", "n=u,r=x"},
    {"", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"x,,n=u,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"p=,,n=u,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"p=tls exporter,,n=u,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,b=x,n=u,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,a=,n=u,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,a=x=2D,n=u,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,m=must,n=u,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,n=,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,n=u=,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,n=\xff,r=x", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,n=u", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,n=u,r=", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,n=u,r=a b", 0, NULL, NULL, NULL, NULL, NULL, NULL},
    {"n,,r=x,n=u", 0, NULL, NULL, NULL, NULL, NULL, NULL},
};

static void test_scram_first(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(firsts); i++) {
        struct scram_first first;
        bool good = scram_first_read(str_from(firsts[i].message), &first);
        if (good != (firsts[i].name != NULL)) fail_msg("%s", firsts[i].message);
        if (!good) continue;
        assert_int_equal(first.binding, firsts[i].binding);
        assert_true(same(first.binding_name, firsts[i].binding_name) &&
                    same(first.authorization, firsts[i].authorization) && same(first.name, firsts[i].name));
        assert_true(same(first.nonce, firsts[i].nonce) && same(first.header, firsts[i].header) &&
                    same(first.bare, firsts[i].bare));
    }
}

static void test_scram_name(void **state) {
    struct buf name = buf_make(0);
    (void)state;
    assert_true(scram_name_decode(STR("a=2Cb=3Dc"), &name));
    assert_string_equal(buf_string(&name), "a,b=c");
    assert_false(scram_name_decode(STR("a=2c"), &name));
    assert_false(scram_name_decode(STR("a,b"), &name));
    struct buf long_name = buf_make(0);
    for (size_t i = 0; i <= SASL_NAME_MAX; i++)
        buf_append_char(&long_name, 'x');
    assert_false(scram_name_decode(buf_str(&long_name), &name));
    assert_string_equal(buf_string(&name), "a,b=c");
    buf_free(&long_name);
    buf_free(&name);
}

static const struct {
    const char *message, *binding, *nonce, *proof, *without; /* proof NULL: malformed */
} finals[] = {
    {"c=biws,r=abc,p=v0X8v3Bz", "biws", "abc", "v0X8v3Bz", "c=biws,r=abc"},
    {"c=biws,r=abc,x=1,p=v0X8v3Bz", "biws", "abc", "v0X8v3Bz", "c=biws,r=abc,x=1"},
    {"", NULL, NULL, NULL, NULL},
    {"c=biws,r=abc", NULL, NULL, NULL, NULL},
    {"r=abc,c=biws,p=x", NULL, NULL, NULL, NULL},
    {"c=,r=abc,p=x", NULL, NULL, NULL, NULL},
    {"c=b*,r=abc,p=x", NULL, NULL, NULL, NULL},
    {"c=biws,r=abc,p=", NULL, NULL, NULL, NULL},
    {"c=biws,r=abc,p=x,y=1", NULL, NULL, NULL, NULL},
    {"c=biws,r=abc,p=x,", NULL, NULL, NULL, NULL},
    {"c=biws,p=x", NULL, NULL, NULL, NULL},
};

static void test_scram_final(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(finals); i++) {
        struct scram_final final;
        bool good = scram_final_read(str_from(finals[i].message), &final);
        if (good != (finals[i].proof != NULL)) fail_msg("%s", finals[i].message);
        if (!good) continue;
        assert_true(same(final.binding, finals[i].binding) && same(final.nonce, finals[i].nonce) &&
                    same(final.proof, finals[i].proof) && same(final.without_proof, finals[i].without));
    }
}

static const struct {
    bool is_xoauth2;
    const char *message, *name, *token; /* token NULL: malformed */
} tokens[] = {
    /* RFC 7628 section 4.1 */
    {false,
     "n,a=user@example.com,\001host=server.example.com\001port=143\001auth=Bearer "
     "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001",
     "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="},
    {false, "n,,\001auth=bearer abc\001\001", "", "abc"},
    {false, "y,,\001auth=Bearer abc\001\001", "", "abc"},
    {false, "p=tls-exporter,,\001auth=Bearer abc\001\001", NULL, NULL},
    {false, "n,,\001auth=Bearer abc\001", NULL, NULL},
    {false, "n,,\001auth=Bearer abc\001\001more", NULL, NULL},
    {false, "n,,\001auth=Basic abc\001\001", NULL, NULL},
    {false, "n,,\001auth=Bearer \001\001", NULL, NULL},
    {false, "n,,\001auth=Bearer a b\001\001", NULL, NULL},
    {false, "n,,\001auth=Bearer a\001auth=Bearer b\001\001", NULL, NULL},
    {false, "n,,\001host\001auth=Bearer a\001\001", NULL, NULL},
    {false, "n,b=x,\001auth=Bearer a\001\001", NULL, NULL},
    {false, "n,,auth=Bearer a\001\001", NULL, NULL},
    {false, "n,,", NULL, NULL},
    {false, "", NULL, NULL},
    {true, "user=someuser@example.com\001auth=Bearer ya29.vF9dft4qmTc2\001\001", "someuser@example.com",
     "ya29.vF9dft4qmTc2"},
    {true, "auth=Bearer x\001\001", NULL, NULL},
    {true, "user=\001auth=Bearer x\001\001", NULL, NULL},
    {true, "user=a\001\001", NULL, NULL},
    {true, "user=\xff\001auth=Bearer x\001\001", NULL, NULL},
};

static void test_tokens(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(tokens); i++) {
        struct sasl_token token;
        struct str message = str_from(tokens[i].message);
        bool good = tokens[i].is_xoauth2 ? sasl_xoauth2_read(message, &token) : sasl_oauthbearer_read(message, &token);
        if (good != (tokens[i].token != NULL)) fail_msg("row %zu", i);
        if (good) assert_true(same(token.name, tokens[i].name) && same(token.token, tokens[i].token));
    }
}

static const struct {
    const char *text, *prepared; /* NULL: refused */
} preparations[] = {
    {"I\xc2\xadX", "IX"}, /* RFC 4013 section 3 */
    {"user", "user"},
    {"USER", "USER"},
    {"\xc2\xaa", "a"},
    {"\xe2\x85\xa8", "IX"},
    {"\x07", NULL},
    {"\xd8\xa7\x31", NULL},
    {"a\xc2\xa0z", "a z"}, /* a space of another kind */
    {"\xc2\xad", NULL},    /* mapped to nothing */
    {"", NULL},
    {"\xff", NULL},
    {"\xe2\x80\x8e", NULL}, /* changes the direction */
    {"a\xcc\x88", "\xc3\xa4"},
};

static void test_prepare(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(preparations); i++) {
        struct buf prepared = buf_make(0);
        bool good = sasl_prepare(str_from(preparations[i].text), &prepared);
        if (good != (preparations[i].prepared != NULL)) fail_msg("row %zu", i);
        if (good) assert_string_equal(buf_string(&prepared), preparations[i].prepared);
        buf_free(&prepared);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),       cmocka_unit_test(test_scram_first), cmocka_unit_test(test_scram_name),
        cmocka_unit_test(test_scram_final), cmocka_unit_test(test_tokens),      cmocka_unit_test(test_prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
