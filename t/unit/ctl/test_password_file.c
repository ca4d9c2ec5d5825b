/* password_file: what tern user does to a passwd-file, and what it leaves alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "password_file.h"

static const char before[] =
    "# kept\n\nanna@x:{PLAIN}a:1:2:g:/h:s:quota=1 app_tv={PLAIN}t\nodd line\nbert@x:b\nANNA@x:second";

static void expect(struct buf *content, const char *wanted) {
    assert_string_equal(buf_string(content), wanted);
    buf_free(content);
}

static struct buf text(const char *content) {
    struct buf buf = buf_make(0);
    buf_append(&buf, str_from(content));
    return buf;
}

static void test_set(void **state) {
    struct buf content = text(before);
    (void)state;
    password_file_set(&content, STR("anna@x"), STR("{NEW}n"));
    expect(&content, "# kept\n\nanna@x:{NEW}n:1:2:g:/h:s:quota=1 app_tv={PLAIN}t\nodd line\nbert@x:b\n");
    content = text(before);
    password_file_set(&content, STR("carl@x"), STR("{NEW}n"));
    expect(&content, "# kept\n\nanna@x:{PLAIN}a:1:2:g:/h:s:quota=1 app_tv={PLAIN}t\nodd line\nbert@x:b\nANNA@x:second\n"
                     "carl@x:{NEW}n\n");
    content = text("");
    password_file_set(&content, STR("a"), STR("s"));
    expect(&content, "a:s\n");
}

static void test_remove(void **state) {
    struct buf content = text(before);
    (void)state;
    assert_true(password_file_remove(&content, STR("anna@x")));
    assert_false(password_file_remove(&content, STR("anna@x")));
    assert_false(password_file_remove(&content, STR("# kept")));
    expect(&content, "# kept\n\nodd line\nbert@x:b\n");
}

static void test_fields(void **state) {
    struct buf content = text("a:s\nb:t:1:2::::nologin quota=5 app_x=1\n");
    struct str line, value;
    (void)state;
    assert_true(password_file_set_field(&content, STR("a"), STR("quota"), STR("7")));
    assert_true(password_file_set_field(&content, STR("B"), STR("quota"), STR("6")));
    assert_false(password_file_set_field(&content, STR("c"), STR("quota"), STR("6")));
    assert_false(password_file_set_field(&content, STR("a"), STR("quot"), STR_EMPTY));
    assert_true(password_file_find(buf_str(&content), STR("b"), &line));
    assert_true(password_file_field(line, STR("quota"), &value) && str_equal(value, STR("6")));
    assert_true(password_file_field(line, STR("nologin"), &value) && value.length == 0);
    assert_false(password_file_field(line, STR("quot"), &value));
    assert_true(password_file_set_field(&content, STR("b"), STR("nologin"), STR_EMPTY));
    expect(&content, "a:s::::::quota=7\nb:t:1:2::::app_x=1 quota=6\n");
}

static void test_apps(void **state) {
    struct buf content = text("a:s\nb:t:1:2:::: app_x=1 quota=5 \n");
    struct str line, label;
    size_t offset = 0;
    (void)state;
    assert_true(password_file_set_app(&content, STR("a"), STR("phone"), STR("{P}1")));
    assert_true(password_file_set_app(&content, STR("a"), STR("tv"), STR("{P}2")));
    assert_true(password_file_set_app(&content, STR("a"), STR("phone"), STR("{P}3")));
    assert_true(password_file_set_app(&content, STR("b"), STR("x"), STR_EMPTY));
    assert_false(password_file_set_app(&content, STR("b"), STR("x"), STR_EMPTY));
    assert_false(password_file_set_app(&content, STR("c"), STR("x"), STR("{P}")));
    assert_true(password_file_find(buf_str(&content), STR("A"), &line));
    assert_true(password_file_next_app(line, &offset, &label) && str_equal(label, STR("tv")));
    assert_true(password_file_next_app(line, &offset, &label) && str_equal(label, STR("phone")));
    assert_false(password_file_next_app(line, &offset, &label));
    expect(&content, "a:s::::::app_tv={P}2 app_phone={P}3\nb:t:1:2::::quota=5\n");
}

static void test_labels(void **state) {
    (void)state;
    assert_true(password_file_is_label(STR("my-phone_2.0")));
    assert_false(password_file_is_label(STR("")));
    assert_false(password_file_is_label(STR("my phone")));
    assert_false(password_file_is_label(STR("a=b")));
    assert_false(password_file_is_label(STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_set), cmocka_unit_test(test_remove),
                                       cmocka_unit_test(test_fields), cmocka_unit_test(test_apps), cmocka_unit_test(test_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
