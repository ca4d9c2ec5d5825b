/* reply_policy: what each reply means at each stage. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "reply_policy.h"

static const struct {
    enum smtp_stage stage;
    unsigned code;
    const char *enhanced; /* NULL: none */
    bool skip;
    enum reply_verdict verdict;
    const char *status;
    bool closes, protocol_error;
} cases[] = {
    {STAGE_GREETING, 220, NULL, true, REPLY_GOOD, "2.0.0", false, false},
    {STAGE_GREETING, 421, "4.3.2", true, REPLY_DEFER, "4.3.2", true, false},
    {STAGE_GREETING, 554, "5.7.1", true, REPLY_DEFER, "4.7.1", false, false},
    {STAGE_GREETING, 554, NULL, true, REPLY_DEFER, "4.0.0", false, false},
    {STAGE_GREETING, 554, "5.7.1", false, REPLY_FAIL, "5.7.1", false, false},
    {STAGE_GREETING, 354, NULL, true, REPLY_DEFER, "4.5.0", false, true},
    {STAGE_EHLO, 250, NULL, true, REPLY_GOOD, "2.0.0", false, false},
    {STAGE_EHLO, 550, "5.7.1", true, REPLY_FAIL, "5.7.1", false, false},
    {STAGE_HELO, 450, NULL, true, REPLY_DEFER, "4.0.0", false, false},
    {STAGE_LHLO, 500, NULL, true, REPLY_FAIL, "5.0.0", false, false},
    {STAGE_MAIL, 250, "2.1.0", true, REPLY_GOOD, "2.1.0", false, false},
    {STAGE_MAIL, 250, "5.1.0", true, REPLY_GOOD, "2.0.0", false, false},
    {STAGE_MAIL, 354, NULL, true, REPLY_DEFER, "4.5.0", false, true},
    {STAGE_MAIL, 451, "4.3.0", true, REPLY_DEFER, "4.3.0", false, false},
    {STAGE_MAIL, 552, "5.3.4", true, REPLY_FAIL, "5.3.4", false, false},
    {STAGE_RCPT, 251, "2.1.5", true, REPLY_GOOD, "2.1.5", false, false},
    {STAGE_RCPT, 450, "5.1.1", true, REPLY_DEFER, "4.0.0", false, false},
    {STAGE_RCPT, 550, "4.1.1", true, REPLY_FAIL, "5.0.0", false, false},
    {STAGE_RCPT, 550, "5.1.1", true, REPLY_FAIL, "5.1.1", false, false},
    {STAGE_RCPT, 421, NULL, true, REPLY_DEFER, "4.0.0", true, false},
    {STAGE_DATA, 354, NULL, true, REPLY_GOOD, "2.0.0", false, false},
    {STAGE_DATA, 250, NULL, true, REPLY_DEFER, "4.5.0", false, true},
    {STAGE_DATA, 503, "5.5.1", true, REPLY_FAIL, "5.5.1", false, false},
    {STAGE_END, 250, "2.6.0", true, REPLY_GOOD, "2.6.0", false, false},
    {STAGE_END, 452, "4.3.1", true, REPLY_DEFER, "4.3.1", false, false},
    {STAGE_END, 554, NULL, true, REPLY_FAIL, "5.0.0", false, false},
    {STAGE_END, 354, NULL, true, REPLY_DEFER, "4.5.0", false, true},
};

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct status_code enhanced = {0};
        if (cases[i].enhanced) assert_true(status_code_parse(str_from(cases[i].enhanced), &enhanced));
        struct reply_judgement judgement = reply_judge(cases[i].stage, cases[i].code, enhanced, cases[i].skip);
        struct buf status = buf_make(0);
        status_code_append(&status, judgement.status);
        if (judgement.verdict != cases[i].verdict || !str_equal(buf_str(&status), str_from(cases[i].status)) ||
            judgement.closes != cases[i].closes || judgement.protocol_error != cases[i].protocol_error)
            fail_msg("case %zu, %s %u: verdict %d status %s", i, smtp_stage_command(cases[i].stage), cases[i].code,
                     (int)judgement.verdict, buf_string(&status));
        buf_free(&status);
    }
}

/* Whatever a server says, the class of the status fits the verdict. */
static void test_all_codes(void **state) {
    (void)state;
    for (unsigned stage = STAGE_GREETING; stage <= STAGE_QUIT; stage++) {
        for (unsigned code = 200; code < 600; code++) {
            for (unsigned class = 0; class < 6; class ++) {
                struct status_code enhanced = {.class = (uint8_t) class, .subject = 1, .detail = 1};
                struct reply_judgement judgement = reply_judge((enum smtp_stage)stage, code, enhanced, code % 2);
                unsigned wanted = judgement.verdict == REPLY_GOOD ? 2 : judgement.verdict == REPLY_DEFER ? 4 : 5;
                assert_int_equal(judgement.status.class, wanted);
                if (judgement.verdict == REPLY_FAIL) assert_int_equal(code / 100, 5);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_all_codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
