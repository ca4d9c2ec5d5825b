/* Editing main.cf and master.cf: what is not touched stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "config_edit.h"
#include "memory.h"

struct setting_row {
    enum config_edit_action action;
    const char *name, *value;
    const char *before, *after;
    size_t count;
};

static const struct setting_row setting_rows[] = {
    {CONFIG_EDIT_SET, "b", "9", "# head\na = 1\n\nb=2  \n# tail\n", "# head\na = 1\n\nb = 9\n# tail\n", 1},
    {CONFIG_EDIT_SET, "c", "3 4", "a = 1\n", "a = 1\nc = 3 4\n", 0},
    {CONFIG_EDIT_SET, "c", "3", "a = 1", "a = 1\nc = 3\n", 0},
    {CONFIG_EDIT_SET, "c", "3", "", "c = 3\n", 0},
    {CONFIG_EDIT_SET, "c", "", "c = 3\n", "c =\n", 1},
    {CONFIG_EDIT_SET, "b", "7", "b = 1,\n# within\n   2\n\n  # last\nc = 3\n", "b = 7\n# within\n\n  # last\nc = 3\n", 1},
    {CONFIG_EDIT_SET, "b", "7", "b = 1\nb = 2\n", "b = 7\nb = 7\n", 2},
    {CONFIG_EDIT_SET, "b", "7", "#b = 1\nbb = 2\n", "#b = 1\nbb = 2\nb = 7\n", 0},
    {CONFIG_EDIT_COMMENT, "b", "", "a = 1\nb = 1,\n # in\n\t2\nc = 3\n", "a = 1\n#b = 1,\n # in\n#\t2\nc = 3\n", 1},
    {CONFIG_EDIT_REMOVE, "b", "", "a = 1\nb = 1,\n # in\n\t2\nc = 3\n", "a = 1\n # in\nc = 3\n", 1},
    {CONFIG_EDIT_REMOVE, "x", "", "a = 1\n", "a = 1\n", 0},
};

static void test_settings(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(setting_rows); i++) {
        const struct setting_row *row = &setting_rows[i];
        struct buf edited = buf_make(0);
        struct failure failure = {0};
        size_t count = 99;
        assert_true(config_edit_setting(str_from(row->before), row->action, str_from(row->name), str_from(row->value),
                                        &edited, &count, &failure));
        assert_string_equal(buf_string(&edited), row->after);
        assert_int_equal(count, row->count);
        buf_free(&edited);
    }
}

static void test_refusals(void **state) {
    (void)state;
    struct buf edited = buf_make(0);
    struct failure failure;
    size_t count;
    assert_false(config_edit_setting(STR("a = 1\n"), CONFIG_EDIT_SET, STR("b"), STR("x\ny = z"), &edited, &count, &failure));
    assert_false(config_edit_setting(STR("a = 1\n"), CONFIG_EDIT_SET, STR("b c"), STR("x"), &edited, &count, &failure));
    assert_false(config_edit_setting(STR("  a = 1\n"), CONFIG_EDIT_SET, STR("b"), STR("x"), &edited, &count, &failure));
    assert_int_equal(edited.length, 0);
}

static void test_rows(void **state) {
    (void)state;
    struct str text = STR("# head\nsmtp inet n - n - - smtpd\n  -o a=b\nsmtp unix - - n - - smtp\n");
    struct buf edited = buf_make(0);
    struct failure failure;
    size_t count;
    assert_true(config_edit_row(text, CONFIG_EDIT_COMMENT, STR("smtp"), MASTER_CF_INET, STR_EMPTY, &edited, &count,
                                &failure));
    assert_string_equal(buf_string(&edited), "# head\n#smtp inet n - n - - smtpd\n#  -o a=b\nsmtp unix - - n - - smtp\n");
    buf_clear(&edited);
    assert_true(config_edit_row(text, CONFIG_EDIT_SET, STR("smtp"), MASTER_CF_UNIX, STR("new\n    -o x=y"), &edited,
                                &count, &failure));
    assert_string_equal(buf_string(&edited), "# head\nsmtp inet n - n - - smtpd\n  -o a=b\nnew\n    -o x=y\n");
    buf_free(&edited);
}

static void test_replace(void **state) {
    (void)state;
    char directory[] = "/tmp/tern-edit-XXXXXX";
    struct buf path = buf_make(0), link = buf_make(0), content = buf_make(0);
    struct failure failure = {0};
    struct stat status;
    assert_non_null(mkdtemp(directory));
    buf_printf(&path, "%s/main.cf", directory);
    buf_printf(&link, "%s/link.cf", directory);

    assert_true(config_edit_replace(buf_string(&path), STR("a = 1\n"), &failure));
    assert_int_equal(stat(buf_string(&path), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_int_equal(chmod(buf_string(&path), 0640), 0);
    assert_int_equal(symlink("main.cf", buf_string(&link)), 0);
    assert_true(config_edit_replace(buf_string(&link), STR("a = 2\n"), &failure));
    assert_int_equal(lstat(buf_string(&link), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(stat(buf_string(&path), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_true(config_read_file(buf_string(&path), 100, &content, &failure));
    assert_string_equal(buf_string(&content), "a = 2\n");
    assert_false(config_read_file(buf_string(&path), 3, &content, &failure));
    assert_false(config_edit_replace("/nonexistent/main.cf", STR("x"), &failure));
    assert_int_equal(failure.error_number, 2);

    unlink(buf_string(&link));
    unlink(buf_string(&path));
    assert_int_equal(rmdir(directory), 0); /* nothing else was left behind */
    buf_free(&path);
    buf_free(&link);
    buf_free(&content);
}

static void test_fold(void **state) {
    (void)state;
    struct buf out = buf_make(0);
    config_fold(STR("aaaa {b c} d"), 72, &out);
    assert_string_equal(buf_string(&out), "aaaa\n    {b c} d");
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings), cmocka_unit_test(test_refusals), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_replace),  cmocka_unit_test(test_fold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
