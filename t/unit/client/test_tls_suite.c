/* tls_suite: lists of ciphers by grade, with what is excluded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "tls_suite.h"

static const struct config config = {.tls_high_cipherlist = STR_INIT("HIGH"),
                                     .tls_medium_cipherlist = STR_INIT("HIGH:MEDIUM"),
                                     .tls_null_cipherlist = STR_INIT("eNULL"),
                                     .tls_eecdh_auto_curves = STR_INIT("X25519, prime256v1 secp384r1")};

static const struct {
    const char *grade, *exclude, *ciphers; /* NULL: refused */
} cases[] = {
    {"high", "", "HIGH"},
    {"HIGH", "", "HIGH"},
    {"medium", "", "HIGH:MEDIUM"},
    {"low", "", "HIGH:MEDIUM"},
    {"export", "", "HIGH:MEDIUM"},
    {"null", "", "eNULL"},
    {"medium", "aNULL, RC4 DES+MD5:ECDHE-RSA-AES128-SHA", "HIGH:MEDIUM:!aNULL:!RC4:!DES+MD5:!ECDHE-RSA-AES128-SHA"},
    {"medium", "!aNULL", NULL},
    {"medium", "@SECLEVEL=0", NULL},
    {"medium", "a;b", NULL},
    {"medium", "-ALL", NULL},
    {"best", "", NULL},
};

static void test_grades(void **state) {
    (void)state;
    struct arena *arena = arena_create(0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct tls_suite_options suite = {.groups = STR("untouched")};
        struct failure failure = {0};
        bool good = tls_suite_read(&config, STR(">=TLSv1.2"), str_from(cases[i].grade), str_from(cases[i].exclude),
                                   arena, &suite, &failure);
        if (good != (cases[i].ciphers != NULL)) fail_msg("%s, %s: %s", cases[i].grade, cases[i].exclude, failure.text);
        if (good && (!str_equal(suite.ciphers, str_from(cases[i].ciphers)) ||
                     !str_equal(suite.groups, STR("X25519:prime256v1:secp384r1")) ||
                     !str_equal(suite.protocols, STR(">=TLSv1.2"))))
            fail_msg("%s, %s: %.*s, groups %.*s", cases[i].grade, cases[i].exclude, STR_ARGS(suite.ciphers),
                     STR_ARGS(suite.groups));
        if (!good) {
            assert_true(failure.text[0] != '\0');
            assert_true(str_equal(suite.groups, STR("untouched")));
        }
    }
    arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grades)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
