/* tls_plan_seal: equal plans have equal keys, plans that differ in anything have others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "tls_plan.h"

static const struct str names[] = {STR_INIT("mx.test"), STR_INIT("b.test")};
static const struct str joined[] = {STR_INIT("mx.test1:b.test")};
static const struct tls_tlsa records[] = {{3, 1, 1, STR_INIT("0123")}, {2, 1, 1, STR_INIT("0123")}};

static struct tls_plan make(void) {
    return (struct tls_plan){.level = TLS_LEVEL_SECURE,
                             .protocols = STR(">=TLSv1.2"),
                             .grade = STR("medium"),
                             .exclude = STR("aNULL"),
                             .session = {.server_name = STR("mx.test"),
                                         .expect = TLS_EXPECT_NAME,
                                         .names = names,
                                         .name_count = 2,
                                         .fingerprint_digest = STR("sha256")}};
}

/* Each changes one thing. */
static void change(struct tls_plan *plan, size_t number) {
    struct tls_client_session *session = &plan->session;
    switch (number) {
    case 0:
        plan->level = TLS_LEVEL_VERIFY;
        break;
    case 1:
        plan->protocols = STR(">=TLSv1.3");
        break;
    case 2:
        plan->grade = STR("high");
        break;
    case 3:
        plan->exclude = STR("aNULL RC4");
        break;
    case 4:
        session->server_name = STR_EMPTY;
        break;
    case 5:
        session->expect = TLS_EXPECT_NOTHING;
        break;
    case 6:
        session->name_count = 1;
        break;
    case 7:
        session->names = joined;
        session->name_count = 1;
        break;
    case 8:
        session->fingerprints = names;
        session->fingerprint_count = 2;
        break;
    case 9:
        session->fingerprint_digest = STR("sha1");
        break;
    case 10:
        session->tlsa = records;
        session->tlsa_count = 1;
        break;
    case 11:
        session->tlsa = records + 1;
        session->tlsa_count = 1;
        break;
    case 12:
        session->tlsa = records;
        session->tlsa_count = 2;
        break;
    case 13:
        plan->report_only = true;
        break;
    case 14:
        plan->require_tls = true;
        break;
    case 15:
        session->alpn = STR("smtp");
        break;
    }
}

#define CHANGES 16

static void test_keys(void **state) {
    (void)state;
    uint8_t keys[CHANGES + 1][TLS_PLAN_KEY_SIZE];
    struct tls_plan plan = make(), again = make();
    tls_plan_seal(&plan);
    again.downgrade = "said in the log only";
    again.policy_text = STR("said in reports only");
    tls_plan_seal(&again);
    assert_memory_equal(plan.key, again.key, TLS_PLAN_KEY_SIZE);
    memcpy(keys[CHANGES], plan.key, TLS_PLAN_KEY_SIZE);
    for (size_t i = 0; i < CHANGES; i++) {
        struct tls_plan other = make();
        change(&other, i);
        tls_plan_seal(&other);
        memcpy(keys[i], other.key, TLS_PLAN_KEY_SIZE);
    }
    for (size_t i = 0; i <= CHANGES; i++)
        for (size_t j = 0; j < i; j++)
            if (memcmp(keys[i], keys[j], TLS_PLAN_KEY_SIZE) == 0) fail_msg("%zu is like %zu", i, j);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
