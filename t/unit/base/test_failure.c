/* Tests of failure: what the text says, how it is cut, which errors are this machine's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "failure.h"
#include <errno.h>

static void says(void **state) {
    (void)state;
    struct failure failure = {0};
    assert_false(failure_set(&failure, "bad %s in line %d", "word", 3));
    assert_string_equal(failure.text, "bad word in line 3");
    assert_int_equal(failure.error_number, 0);
    assert_false(failure_set_errno(&failure, ENOENT, "open %s", "main.cf"));
    assert_string_equal(failure.text, "open main.cf: No such file or directory");
    assert_int_equal(failure.error_number, ENOENT);
    assert_false(failure_prefix(&failure, "service %s", "smtp"));
    assert_string_equal(failure.text, "service smtp: open main.cf: No such file or directory");
    assert_int_equal(failure.error_number, ENOENT);
    assert_false(failure_set(&failure, "again: %s", failure.text)); /* its own text as an argument */
    assert_string_equal(failure.text, "again: service smtp: open main.cf: No such file or directory");
    assert_int_equal(failure.error_number, 0);
}

static void takes_null(void **state) {
    (void)state;
    assert_false(failure_set(NULL, "%d", 1));
    assert_false(failure_set_errno(NULL, EIO, "%d", 1));
    assert_false(failure_prefix(NULL, "%d", 1));
}

static void hides_controls(void **state) {
    (void)state;
    struct failure failure = {0};
    assert_false(failure_set(&failure, "a\r\nb\x1b[0m\x7f\xc3\xa4"));
    assert_string_equal(failure.text, "a??b?[0m?\xc3\xa4");
    assert_false(failure_set_errno(&failure, EIO, "x\ny"));
    assert_string_equal(failure.text, "x?y: Input/output error");
    assert_false(failure_prefix(&failure, "p\tq"));
    assert_string_equal(failure.text, "p?q: x?y: Input/output error");
}

static void cuts(void **state) {
    (void)state;
    struct failure failure = {0};
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(failure_set(&failure, "%s", text));
    assert_int_equal(strlen(failure.text), sizeof(failure.text) - 1);
    assert_false(failure_prefix(&failure, "prefix"));
    assert_int_equal(strncmp(failure.text, "prefix: xxx", 11), 0);
    assert_int_equal(strlen(failure.text), sizeof(failure.text) - 1);
    /* The words for the error stay, whatever is in front. */
    assert_false(failure_set_errno(&failure, ENOSPC, "%s", text));
    const char *words = ": No space left on device";
    size_t length = strlen(failure.text);
    assert_true(length < sizeof(failure.text));
    assert_string_equal(failure.text + length - strlen(words), words);
    assert_false(failure_prefix(&failure, "%s", text));
    assert_true(strlen(failure.text) < sizeof(failure.text));
}

static void knows_local(void **state) {
    (void)state;
    static const int local[] = {ENOSPC, EDQUOT, EIO,   EMFILE, ENFILE,    ENOMEM, EROFS,
                                EAGAIN, EINTR,  EBUSY, ESTALE, ETIMEDOUT, ENOLCK, ENOBUFS};
    static const int message[] = {0, ENOENT, EINVAL, ENAMETOOLONG, EEXIST, ENOTDIR, EISDIR, ELOOP, 99999, -1};
    for (size_t i = 0; i < ARRAY_LENGTH(local); i++)
        assert_true(failure_is_local(local[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(message); i++)
        assert_false(failure_is_local(message[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says), cmocka_unit_test(takes_null),  cmocka_unit_test(hides_controls),
        cmocka_unit_test(cuts), cmocka_unit_test(knows_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
