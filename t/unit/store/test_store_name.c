/* Unit tables of store_name: names of mailboxes and of the directories that bear them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "store.h"
#include "store_name.h"

static void test_both_ways(void **state) {
    (void)state;
    static const struct {
        const char *name, *directory;
    } rows[] = {{"Sent", ".Sent"},
                {"Lists/tern", ".Lists.tern"},
                {"a/b/c", ".a.b.c"},
                {"v1.2", ".v1%2E2"},
                {"100%", ".100%25"},
                {"..", ".%2E%2E"},
                {".", ".%2E"},
                {"%2E", ".%252E"},
                {"Entw\xc3\xbcrfe", ".Entw\xc3\xbcrfe"},
                {"a b&c\\d\"", ".a b&c\\d\""},
                {"INBOX/old", ".INBOX.old"},
                {"~x", ".~x"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf directory = buf_make(0), name = buf_make(0);
        buf_append(&directory, STR("root/"));
        assert_true(store_name_to_directory(str_from(rows[i].name), &directory));
        assert_string_equal(buf_string(&directory) + 5, rows[i].directory);
        assert_true(store_name_from_directory(str_from(rows[i].directory), &name));
        assert_string_equal(buf_string(&name), rows[i].name);
        buf_free(&directory);
        buf_free(&name);
    }
}

static void test_refused_names(void **state) {
    (void)state;
    static const struct str rows[] = {
        STR_INIT(""),     STR_INIT("/"),     STR_INIT("/a"),          STR_INIT("a/"),   STR_INIT("a//b"),
        STR_INIT("a\nb"), STR_INIT("a\x7f"), STR_INIT("a\xc2\x84"), STR_INIT("a\0b"),        STR_INIT("\xff"), STR_INIT("\xc0\xaf"),
        STR_INIT("~"),    STR_INIT("a/~/b"), STR_INIT("\xed\xa0\x80")};
    char longest[STORE_NAME_MAX + 1];
    struct buf directory = buf_make(0);
    buf_append(&directory, STR("x"));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_false(store_name_is_valid(rows[i]));
        assert_false(store_name_to_directory(rows[i], &directory));
    }
    memset(longest, 'a', sizeof longest);
    assert_false(store_name_is_valid(str_make(longest, sizeof longest)));
    assert_true(store_name_is_valid(str_make(longest, STORE_NAME_MAX)));
    assert_false(store_name_to_directory(str_make(longest, STORE_NAME_MAX), &directory)); /* no file system takes it */
    assert_true(store_name_to_directory(str_make(longest, 249), &directory));
    buf_truncate(&directory, 1);
    memset(longest, '.', sizeof longest);
    assert_false(store_name_to_directory(str_make(longest, 84), &directory)); /* thrice as long on disk */
    for (size_t i = 1; i < sizeof longest; i += 2)
        longest[i - 1] = 'a', longest[i] = '/';
    assert_false(store_name_is_valid(str_make(longest, 121))); /* 61 levels */
    assert_true(store_name_is_valid(str_make(longest, 119)));
    assert_string_equal(buf_string(&directory), "x");
    buf_free(&directory);
}

static void test_other_directories(void **state) {
    (void)state;
    static const struct str rows[] = {STR_INIT(""),      STR_INIT("."),      STR_INIT(".."),     STR_INIT("cur"),
                                      STR_INIT("..x"),   STR_INIT(".a%"),    STR_INIT(".a%2"),   STR_INIT(".a%2e"),
                                      STR_INIT(".a%41"), STR_INIT(".a%ZZ"),  STR_INIT(".a..b"),  STR_INIT(".a."),
                                      STR_INIT(".\xff"), STR_INIT(".INBOX"), STR_INIT(".inbox"), STR_INIT(".a%2F"),
                                      STR_INIT(".a\nb"), STR_INIT(".~"),     STR_INIT(".%2E.")};
    struct buf name = buf_make(0);
    buf_append(&name, STR("x"));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_false(store_name_from_directory(rows[i], &name));
    assert_string_equal(buf_string(&name), "x");
    buf_free(&name);
}

static void test_inbox(void **state) {
    (void)state;
    struct buf directory = buf_make(0);
    assert_true(store_name_is_inbox(STR("InBox")) && !store_name_is_inbox(STR("INBOX/a")) &&
                !store_name_is_inbox(STR("INBO")));
    assert_true(store_name_to_directory(STR("inbox"), &directory));
    assert_int_equal(directory.length, 0);
    buf_free(&directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways), cmocka_unit_test(test_refused_names),
                                       cmocka_unit_test(test_other_directories), cmocka_unit_test(test_inbox)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
