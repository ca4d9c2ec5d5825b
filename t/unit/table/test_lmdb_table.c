/* LMDB tables: made, looked up, replaced while open, cut off; and texthash,
 * whose file changes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lmdb_build.h"
#include "table.h"

static char directory[] = "/tmp/tern-test-lmdb-XXXXXX";

static struct buf path_of(const char *prefix, const char *name) {
    struct buf path = {0};
    buf_printf(&path, "%s%s/%s", prefix, directory, name);
    return path;
}

static void make(const char *name, bool keep, bool with_nul, const char *key, const char *value) {
    struct buf path = path_of("", name);
    struct lmdb_build *build = NULL;
    struct failure failure = {0};
    if (!lmdb_build_start(buf_str(&path), keep, &build, &failure)) fail_msg("%s", failure.text);
    assert_int_equal(lmdb_build_put(build, str_from(key), str_from(value), 1, true, NULL), LMDB_BUILD_NEW);
    if (!lmdb_build_commit(build, 0640, (uid_t)-1, (gid_t)-1, with_nul, &failure)) fail_msg("%s", failure.text);
    lmdb_build_free(&build);
    buf_free(&path);
}

static struct table *open_named(const char *type, const char *name) {
    struct buf full = path_of(type, name);
    struct table *table = NULL;
    struct failure failure = {0};
    if (!table_open(buf_str(&full), TABLE_FOLD, &table, &failure)) fail_msg("%s", failure.text);
    buf_free(&full);
    return table;
}

static void expect(struct table *table, const char *key, enum table_result result, const char *value) {
    struct buf got = {0};
    struct failure failure = {0};
    assert_int_equal(table_lookup(table, str_from(key), &got, &failure), result);
    assert_string_equal(buf_string(&got), value);
    buf_free(&got);
}

static void test_make_and_replace(void **state) {
    (void)state;
    make("a.lmdb", false, false, "one", "1");
    struct buf path = path_of("", "a.lmdb");
    struct stat file;
    assert_int_equal(stat(buf_string(&path), &file), 0);
    assert_int_equal(file.st_mode & 0777, 0640);
    buf_free(&path);
    struct table *old = open_named("hash:", "a");
    expect(old, "ONE", TABLE_FOUND, "1");
    expect(old, "two", TABLE_ABSENT, "");
    expect(old, "", TABLE_ABSENT, "");
    assert_false(table_changed(old));
    make("a.lmdb", true, false, "two", "2");
    assert_true(table_changed(old));
    expect(old, "two", TABLE_ABSENT, "");
    struct table *new = open_named("btree:", "a");
    expect(new, "one", TABLE_FOUND, "1");
    expect(new, "two", TABLE_FOUND, "2");
    table_close(&old);
    table_close(&new);
}

static void test_trailing_nul(void **state) {
    (void)state;
    make("n.lmdb", false, true, "key", "value");
    struct table *table = open_named("lmdb:", "n");
    expect(table, "key", TABLE_FOUND, "value");
    expect(table, "ke", TABLE_ABSENT, "");
    table_close(&table);
}

static void test_many_entries(void **state) {
    (void)state;
    struct buf path = path_of("", "many.lmdb");
    struct lmdb_build *build = NULL;
    struct failure failure = {0};
    assert_true(lmdb_build_start(buf_str(&path), false, &build, &failure));
    struct buf key = {0};
    struct buf value = {0};
    for (int i = 0; i < 3000; i++) buf_append_char(&value, 'v');
    for (int i = 0; i < 5000; i++) {
        buf_clear(&key);
        buf_printf(&key, "key%d", i);
        assert_int_equal(lmdb_build_put(build, buf_str(&key), buf_str(&value), 1, false, NULL), LMDB_BUILD_NEW);
    }
    size_t first = 0;
    assert_int_equal(lmdb_build_put(build, STR("key7"), STR("x"), 9, false, &first), LMDB_BUILD_DUPLICATE);
    assert_int_equal(first, 1);
    buf_clear(&key);
    for (int i = 0; i < 511; i++) buf_append_char(&key, 'k');
    assert_int_equal(lmdb_build_put(build, buf_str(&key), STR("x"), 9, false, NULL), LMDB_BUILD_KEY_LENGTH);
    if (!lmdb_build_commit(build, 0600, (uid_t)-1, (gid_t)-1, false, &failure)) fail_msg("%s", failure.text);
    lmdb_build_free(&build);
    struct table *table = open_named("lmdb:", "many");
    expect(table, "key4999", TABLE_FOUND, buf_string(&value));
    expect(table, buf_string(&key), TABLE_ABSENT, "");
    table_close(&table);
    buf_free(&key);
    buf_free(&value);
    buf_free(&path);
}

static void test_unsound_files_do_not_open(void **state) {
    (void)state;
    static const off_t sizes[] = {0, 100, 8192};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        make("cut.lmdb", false, false, "one", "1");
        struct buf path = path_of("", "cut.lmdb");
        assert_int_equal(truncate(buf_string(&path), sizes[i]), 0);
        struct buf full = path_of("lmdb:", "cut");
        struct table *table = NULL;
        struct failure failure = {0};
        assert_false(table_open(buf_str(&full), 0, &table, &failure));
        assert_true(failure.text[0] != '\0');
        buf_free(&full);
        buf_free(&path);
    }
}

static void write_text(const char *name, const char *text) {
    struct buf path = path_of("", name);
    FILE *file = fopen(buf_string(&path), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    buf_free(&path);
}

static struct table *open_text_file(struct str name, struct failure *failure) {
    struct table *table = NULL;
    return table_open(name, 0, &table, failure) ? table : NULL;
}

static void test_changed(void **state) {
    (void)state;
    struct buf value = {0};
    struct buf name = path_of("texthash:", "t");
    struct buf path = path_of("", "t");
    struct failure failure = {0};
    assert_null(open_text_file(buf_str(&name), &failure));
    assert_non_null(strstr(failure.text, buf_string(&path)));
    write_text("t", "a 1\n");
    struct table *table = open_text_file(buf_str(&name), &failure);
    assert_non_null(table);
    assert_int_equal(table_lookup(table, STR("a"), &value, &failure), TABLE_FOUND);
    assert_string_equal(buf_string(&value), "1");
    assert_false(table_changed(table));
    write_text("t", "a 22\n");
    assert_true(table_changed(table));
    /* Changed, and gone: what was read stays. */
    assert_int_equal(unlink(buf_string(&path)), 0);
    assert_true(table_changed(table));
    buf_clear(&value);
    assert_int_equal(table_lookup(table, STR("a"), &value, &failure), TABLE_FOUND);
    assert_string_equal(buf_string(&value), "1");
    table_close(&table);
    buf_free(&path);
    buf_free(&name);
    buf_free(&value);
}

static int setup(void **state) {
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int teardown(void **state) {
    (void)state;
    static const char *const names[] = {"a.lmdb", "n.lmdb", "many.lmdb", "cut.lmdb", "t"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct buf path = path_of("", names[i]);
        (void)unlink(buf_string(&path));
        buf_free(&path);
    }
    /* Fails if a temporary file was left. */
    return rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_and_replace), cmocka_unit_test(test_trailing_nul),
        cmocka_unit_test(test_many_entries),     cmocka_unit_test(test_unsound_files_do_not_open),
        cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
