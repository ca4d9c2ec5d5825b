/* Unit table of smtp/token_grant: how a token is to be had, the request, the answer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "access_token.h"

static void test_grants(void **state) {
    (void)state;
    static const struct {
        const char *row, *request; /* NULL: refused */
    } rows[] = {
        {"endpoint=https://g.test/token client_id=i refresh_token=r",
         "grant_type=refresh_token&client_id=i&refresh_token=r"},
        {"endpoint=https://g.test/token client_id=i%20d client_secret=s/&+= refresh_token=1//r scope=a%20b",
         "grant_type=refresh_token&client_id=i%20d&client_secret=s%2F%26%2B%3D&refresh_token=1%2F%2Fr&scope=a%20b"},
        {"refresh_token=r client_id=i endpoint=https://g.test/",
         "grant_type=refresh_token&client_id=i&refresh_token=r"},
        {"endpoint=http://g.test/token client_id=i refresh_token=r", NULL},
        {"endpoint=https://g.test/token refresh_token=r", NULL},
        {"client_id=i refresh_token=r", NULL},
        {"endpoint=https://g.test/token client_id=i refresh_token=r password=p", NULL},
        {"endpoint=https://g.test/token client_id=i refresh_token=r more", NULL},
        {"endpoint=https://g.test/token client_id=%zz refresh_token=r", NULL},
        {"endpoint=https://g.test/token client_id=i refresh_token=%4", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct token_grant grant;
        struct failure failure = {0};
        struct buf request = buf_make(0);
        bool good = token_grant_parse(str_from(rows[i].row), &grant, &failure);
        if (good != (rows[i].request != NULL)) fail_msg("%s: %s", rows[i].row, failure.text);
        if (good) {
            token_request_append(&request, &grant);
            assert_string_equal(buf_string(&request), rows[i].request);
        }
        buf_free(&request);
        token_grant_free(&grant);
    }
}

static void test_answers(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        const char *body, *token; /* NULL: none */
        uint64_t seconds;
        const char *why;
    } rows[] = {
        {200, "{\"access_token\":\"ya29.x\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", "ya29.x", 3599, ""},
        {200, "{\"access_token\":\"t\"}", "t", 0, ""},
        {200, "{\"access_token\":\"t\",\"expires_in\":\"3600\"}", "t", 0, ""},
        {200, "{\"access_token\":\"t\",\"expires_in\":-5}", "t", 0, ""},
        {200, "{\"access_token\":\"a b\"}", NULL, 0, "the answer has no access_token"},
        {200, "{\"access_token\":\"a\\u0001b\"}", NULL, 0, "the answer has no access_token"},
        {200, "{\"access_token\":\"\"}", NULL, 0, "the answer has no access_token"},
        {200, "{\"access_token\":7}", NULL, 0, "the answer has no access_token"},
        {200, "[]", NULL, 0, "the token server said 200 "},
        {200, "<html>", NULL, 0, "the token server said 200 "},
        {400, "{\"error\":\"invalid_grant\",\"access_token\":\"t\"}", NULL, 0,
         "the token server said 400 invalid_grant"},
        {400, "{\"error\":\"a\\nb\"}", NULL, 0, "the token server said 400 "},
        {500, "", NULL, 0, "the token server said 500 "},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf token = buf_make(0);
        uint64_t seconds = 0;
        struct failure failure = {0};
        bool good = token_answer_parse(rows[i].status, str_from(rows[i].body), &token, &seconds, &failure);
        if (good != (rows[i].token != NULL) || seconds != rows[i].seconds) fail_msg("row %zu", i);
        assert_string_equal(buf_string(&token), rows[i].token ? rows[i].token : "");
        assert_string_equal(failure.text, rows[i].why);
        buf_free(&token);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grants), cmocka_unit_test(test_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
