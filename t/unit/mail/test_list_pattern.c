/* Unit table of lib/mail/list_pattern. */
#include "expect.h"
#include "list_pattern.h"

#define NONE  LIST_MATCH_NONE
#define NAME  LIST_MATCH_NAME
#define BELOW LIST_MATCH_CHILDREN

static void test_match(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *name;
        unsigned wanted;
    } rows[] = {
        {"", "", NAME},
        {"", "a", NONE},
        {"a", "a", NAME},
        {"a", "A", NONE},
        {"*", "", NAME | BELOW},
        {"*", "a/b/c", NAME | BELOW},
        {"%", "a", NAME},
        {"%", "a/b", NONE},
        {"%/%", "a", BELOW},
        {"%/%", "a/b", NAME},
        {"a/%", "a", BELOW},
        {"a/%", "a/b", NAME},
        {"a/%", "a/b/c", NONE},
        {"a/*", "a", BELOW},
        {"a/*", "a/b/c", NAME | BELOW},
        {"a*", "a", NAME | BELOW},
        {"a%", "a", NAME},
        {"a%", "ab", NAME},
        {"a/", "a", NONE},
        {"a/", "a/", NAME},
        {"*b", "a", BELOW},
        {"*b", "a/b", NAME | BELOW},
        {"%*", "a/b", NAME | BELOW},
        {"*%", "a/b", NAME | BELOW},
        {"a%b%c", "axbyc", NAME},
        {"a%b%c", "ab/c", NONE},
        {"a*b%c", "a/b/bxc", NAME | BELOW},
        {"a/b", "a", BELOW},
        {"a/b", "x", NONE},
        {"a.b", "a.b", NAME},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct list_pattern *pattern = list_pattern_create(str_from(rows[i].pattern), '/', false);
        char what[64];
        snprintf(what, sizeof what, "%s in %s", rows[i].name, rows[i].pattern);
        expect_int(list_pattern_match(pattern, str_from(rows[i].name)), rows[i].wanted, what);
        list_pattern_free(&pattern);
        assert_null(pattern);
    }
    struct list_pattern *pattern = list_pattern_create(STR("iNb%"), '.', true);
    assert_int_equal(list_pattern_match(pattern, STR("INBOX")), NAME);
    assert_int_equal(list_pattern_match(pattern, STR("INBOX.x")), NONE);
    list_pattern_free(&pattern);
    pattern = list_pattern_create(STR("%"), '\0', false);
    assert_int_equal(list_pattern_match(pattern, STR("a/b.c")), NAME);
    list_pattern_free(&pattern);
}

/* Long patterns, places beyond the first word, and a pattern that would cost a search much. */
static void test_long(void **state) {
    (void)state;
    struct buf text = {0}, name = {0};
    for (size_t i = 0; i < LIST_PATTERN_MAX; i++) {
        buf_append(&text, STR("%a*"));
        buf_append_char(&name, 'a');
    }
    struct list_pattern *pattern = list_pattern_create(buf_str(&text), '/', false);
    assert_non_null(pattern);
    assert_int_equal(list_pattern_match(pattern, buf_str(&name)), NAME | BELOW);
    name.data[500] = 'b';
    assert_int_equal(list_pattern_match(pattern, buf_str(&name)), BELOW);
    buf_append_char(&name, 'a');
    assert_int_equal(list_pattern_match(pattern, buf_str(&name)), NAME | BELOW);
    list_pattern_free(&pattern);
    buf_append_char(&text, 'a');
    assert_null(list_pattern_create(buf_str(&text), '/', false));
    buf_free(&text);
    buf_free(&name);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_match), cmocka_unit_test(test_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
