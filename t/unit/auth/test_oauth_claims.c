/* Unit table of the claims of tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "jwt.h"
#include "oauth_claims.h"

#define NOW  1000000
#define GOOD "\"iss\":\"https://id.test\",\"aud\":\"mail\",\"scope\":\"openid mail\",\"email\":\"anna@example.test\""

/* Claims; the user, or what is wrong. A token that says all of it itself. */
static const struct {
    const char *claims, *user, *failure;
} table[] = {
    {"{" GOOD ",\"exp\":1000001}", "anna@example.test", NULL},
    {"{" GOOD ",\"exp\":999941}", "anna@example.test", NULL}, /* within clock_skew */
    {"{" GOOD ",\"exp\":1000001.5,\"nbf\":1000060}", "anna@example.test", NULL},
    {"{" GOOD ",\"exp\":999940}", NULL, "the token has expired"},
    {"{" GOOD ",\"exp\":0}", NULL, "the token has expired"},
    {"{" GOOD ",\"exp\":-1e300}", NULL, "the token has expired"},
    {"{" GOOD ",\"exp\":\"1000001\"}", NULL, "the token's exp is no date"},
    {"{" GOOD ",\"exp\":null}", NULL, "the token's exp is no date"},
    {"{" GOOD "}", NULL, "the token never expires"},
    {"{" GOOD ",\"exp\":2000000,\"nbf\":1000061}", NULL, "the token is not valid yet"},
    {"{" GOOD ",\"exp\":2000000,\"nbf\":true}", NULL, "the token's nbf is no date"},
    {"{\"iss\":\"https://id.test/\",\"exp\":2000000}", NULL, "the token is of another issuer"},
    {"{\"iss\":[\"https://id.test\"],\"exp\":2000000}", NULL, "the token is of another issuer"},
    {"{\"exp\":2000000,\"email\":\"x\"}", NULL, "the token is of another issuer"},
    {"{\"iss\":\"https://other.test\",\"aud\":[\"web\",7,\"mail\"],\"scp\":[\"mail\"],\"exp\":2000000,\"email\":\"b\"}",
     "b", NULL},
    {"{\"iss\":\"https://id.test\",\"aud\":\"web\",\"scope\":\"mail\",\"exp\":2000000,\"email\":\"b\"}", NULL,
     "the token is for another audience"},
    {"{\"iss\":\"https://id.test\",\"aud\":\"mail \",\"scope\":\"mail\",\"exp\":2000000,\"email\":\"b\"}", NULL,
     "the token is for another audience"},
    {"{\"iss\":\"https://id.test\",\"aud\":[],\"scope\":\"mail\",\"exp\":2000000,\"email\":\"b\"}", NULL,
     "the token is for another audience"},
    {"{\"iss\":\"https://id.test\",\"scope\":\"mail\",\"exp\":2000000,\"email\":\"b\"}", NULL,
     "the token is for another audience"},
    {"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"scope\":\"openid mailbox\",\"exp\":2000000,\"email\":\"b\"}",
     NULL, "the token has not the scope mail"},
    {"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":2000000,\"email\":\"b\"}", NULL,
     "the token has not the scope mail"},
    {"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"scope\":\"mail\",\"exp\":2000000}", NULL,
     "the token has no email that could be an account's name"},
    {"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"scope\":\"mail\",\"exp\":2000000,\"email\":\"\"}", NULL,
     "the token has no email that could be an account's name"},
    {"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"scope\":\"mail\",\"exp\":2000000,\"email\":[\"b\"]}", NULL,
     "the token has no email that could be an account's name"},
};

static void test_claims(void **state) {
    const struct oauth_policy policy = {.issuers = STR("https://id.test, https://other.test"),
                                        .audience = STR("mail"),
                                        .scope = STR("mail"),
                                        .user = STR("email"),
                                        .clock_skew = 60,
                                        .must_name_issuer = true,
                                        .must_expire = true};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct failure failure = {0};
        struct str user = STR("nobody");
        json_t *claims = jwt_json(str_from(table[i].claims), 10000, &failure);
        assert_non_null(claims);
        enum oauth_verdict verdict = oauth_claims_check(claims, &policy, NOW, &user, &failure);
        if (table[i].user) {
            assert_int_equal(verdict, OAUTH_GOOD);
            assert_true(str_equal(user, str_from(table[i].user)));
        } else {
            bool foreign = strstr(table[i].failure, "issuer") != NULL;
            if (strcmp(failure.text, table[i].failure) != 0) print_error("%s\n", table[i].claims);
            assert_int_equal(verdict, foreign ? OAUTH_FOREIGN : OAUTH_BAD);
            assert_string_equal(failure.text, table[i].failure);
            assert_true(str_equal(user, STR("nobody")));
        }
        json_decref(claims);
    }
}

/* A server that was asked need not repeat who it is, nor when the token ends. */
static void test_introspected(void **state) {
    const struct oauth_policy policy = {
        .user = STR("username"), .audience = STR_EMPTY, .scope = STR_EMPTY, .issuers = STR("https://id.test")};
    struct failure failure = {0};
    struct str user;
    (void)state;
    json_t *claims = jwt_json(STR("{\"active\":true,\"username\":\"anna\"}"), 10000, &failure);
    assert_int_equal(oauth_claims_check(claims, &policy, NOW, &user, &failure), OAUTH_GOOD);
    assert_true(str_equal(user, STR("anna")));
    json_object_set_new(claims, "iss", json_string("https://evil.test"));
    assert_int_equal(oauth_claims_check(claims, &policy, NOW, &user, &failure), OAUTH_FOREIGN);
    json_decref(claims);
}

static void test_form(void **state) {
    struct buf out = buf_make(0);
    (void)state;
    oauth_form_encode(STR("aZ0-._~ +&=%\xc3\xa4"), &out);
    assert_string_equal(buf_string(&out), "aZ0-._~%20%2B%26%3D%25%C3%A4");
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_claims), cmocka_unit_test(test_introspected),
                                       cmocka_unit_test(test_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
