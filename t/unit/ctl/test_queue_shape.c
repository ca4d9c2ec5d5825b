/* Ages by domain. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "queue_shape.h"

static void test_table(void **state) {
    (void)state;
    struct queue_shape shape = {.buckets = 10, .first_minutes = 5, .parent_minimum = 5, .width = 80};
    struct buf out = buf_make(0);
    queue_shape_begin(&shape);
    queue_shape_add(&shape, STR("a@example.org"), 0);
    queue_shape_add(&shape, STR("b@Example.ORG"), 299);
    queue_shape_add(&shape, STR("b@example.org"), 300);
    queue_shape_add(&shape, STR("c@example.net"), 1280 * 60);
    queue_shape_add(&shape, STR_EMPTY, -5);
    queue_shape_format(&shape, &out);
    assert_string_equal(buf_string(&out),
                        "                                          T 5 10 20 40 80 160 320 640 1280 1280+\n"
                        "                                    TOTAL 5 3  1  0  0  0   0   0   0    0     1\n"
                        "                              example.org 3 2  1  0  0  0   0   0   0    0     0\n"
                        "                            MAILER-DAEMON 1 1  0  0  0  0   0   0   0    0     0\n"
                        "                              example.net 1 0  0  0  0  0   0   0   0    0     1\n");
    queue_shape_end(&shape);
    buf_free(&out);
}

static void test_linear_narrow_parents(void **state) {
    (void)state;
    struct queue_shape shape = {
        .buckets = 3, .first_minutes = 10, .linear = true, .parents = true, .parent_minimum = 2, .width = 20};
    struct buf out = buf_make(0);
    queue_shape_begin(&shape);
    queue_shape_add(&shape, STR("a@one.example.org"), 601);
    queue_shape_add(&shape, STR("a@a-long-name.example.org"), 20 * 60);
    queue_shape_format(&shape, &out);
    assert_string_equal(buf_string(&out), "             T 10 20 20+\n"
                                          "       TOTAL 2  0  1   1\n"
                                          ".example.org 2  0  1   1\n"
                                          "+example.org 1  0  0   1\n"
                                          "+example.org 1  0  1   0\n");
    queue_shape_end(&shape);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_linear_narrow_parents)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
