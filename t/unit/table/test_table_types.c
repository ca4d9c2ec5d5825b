/* Unit tables of the lookup table types: what a source and a key give. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "table.h"
#include "table_types.h"

struct row {
    const char *type_name;
    const char *source; /* NULL: the type has none */
    unsigned flags;
    const char *key;
    enum table_result result;
    const char *value;
};

#define NESTED                                                                                                         \
    "if /^a/\n/^ab$/ ab\nif !/c/\n/b/ b-no-c\nendif\n/x$/ x\nendif\n/./ rest\n"

static const struct row rows[] = {
    /* pcre */
    {"pcre:f", "/^foo$/ bar\n", 0, "FOO", TABLE_FOUND, "bar"},
    {"pcre:f", "/^foo$/i bar\n", 0, "FOO", TABLE_ABSENT, ""},
    {"pcre:f", "/^foo$/ bar\n", 0, "fooo", TABLE_ABSENT, ""},
    {"pcre:f", "!/^foo$/ other\n", 0, "x", TABLE_FOUND, "other"},
    {"pcre:f", "! /^foo$/ other\n", 0, "foo", TABLE_ABSENT, ""},
    {"pcre:f", "/^(.*)@(.*)$/ ${2}=$1 $(1) $$\n", 0, "a@b", TABLE_FOUND, "b=a a $"},
    {"pcre:f", "/^(.*)@(.*)$/ $1x\n/./ second\n", 0, "a@b", TABLE_FOUND, "second"},
    {"pcre:f", "/^(a)$/ $2\n/./ second\n", 0, "a", TABLE_FOUND, "second"},
    {"pcre:f", "!/^(a)$/ $1\n/./ second\n", 0, "b", TABLE_FOUND, "second"},
    {"pcre:f", "/^(x)?a$/ <$1>\n", 0, "a", TABLE_FOUND, "<>"},
    {"pcre:f", "/^(.*)$/ $1\n/./ second\n", TABLE_NO_SUBSTITUTION, "a", TABLE_FOUND, "second"},
    {"pcre:f", "#/a\\/b#x found\n/a\\/b/ yes\n", 0, "a/b", TABLE_FOUND, "yes"},
    {"pcre:f", "/unclosed\n/(/ x\n/a/Q x\na a\n/a/ ok\n", 0, "a", TABLE_FOUND, "ok"},
    {"pcre:f", "/a.b/ dot\n", 0, "a\nb", TABLE_FOUND, "dot"},
    {"pcre:f", "/a.b/s dot\n", 0, "a\nb", TABLE_ABSENT, ""},
    {"pcre:f", "/^b/m line\n", 0, "a\nb", TABLE_FOUND, "line"},
    {"pcre:f", "/a b/x joined\n", 0, "ab", TABLE_FOUND, "joined"},
    {"pcre:f", "/a/\n   one two\n", 0, "a", TABLE_FOUND, "one two"},
    {"pcre:f", "/^.$/ one\n", 0, "\xc3\xa9", TABLE_ABSENT, ""},
    {"pcre:f", "/^.$/ one\n", TABLE_UTF8, "\xc3\xa9", TABLE_FOUND, "one"},
    {"pcre:f", "/bad/ found\n", TABLE_UTF8, "\xff bad", TABLE_FOUND, "found"},
    {"pcre:f", "/^(a+)+$/ x\n", 0, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", TABLE_RETRY, ""},
    {"pcre:f", NESTED, 0, "ab", TABLE_FOUND, "ab"},
    {"pcre:f", NESTED, 0, "abd", TABLE_FOUND, "b-no-c"},
    {"pcre:f", NESTED, 0, "abcx", TABLE_FOUND, "x"},
    {"pcre:f", NESTED, 0, "abc", TABLE_FOUND, "rest"},
    {"pcre:f", NESTED, 0, "zbx", TABLE_FOUND, "rest"},
    /* a malformed if takes its block with it, nested ones too */
    {"pcre:f", "if /(/\n/a/ in\nif /a/\n/a/ in2\nendif\nendif\n/a/ out\n", 0, "a", TABLE_FOUND, "out"},
    {"pcre:f", "if /a/\n/a/ in\n", 0, "a", TABLE_FOUND, "in"},
    {"pcre:f", "endif\n/a/ in\n", 0, "a", TABLE_FOUND, "in"},
    {"pcre:f", "if/a/\n/a/ in\nendif\n", 0, "a", TABLE_FOUND, "in"},
    {"pcre:/nonexistent/file", NULL, 0, "a", TABLE_RETRY, NULL},
    /* regexp */
    {"regexp:f", "/^foo$/ bar\n", 0, "FOO", TABLE_FOUND, "bar"},
    {"regexp:f", "/^foo$/i bar\n", 0, "FOO", TABLE_ABSENT, ""},
    {"regexp:f", "/^([^@]+)@(.*)$/ $2:${1}\n", 0, "a@b", TABLE_FOUND, "b:a"},
    {"regexp:f", "/(/ x\n/a/z x\n/a+/ ok\n", 0, "aa", TABLE_FOUND, "ok"},
    {"regexp:f", "/a+/x plus\n", 0, "a+", TABLE_FOUND, "plus"},
    {"regexp:f", "/^b$/m line\n", 0, "a\nb", TABLE_FOUND, "line"},
    {"regexp:f", "/^b$/ line\n", 0, "a\nb", TABLE_ABSENT, ""},
    {"regexp:/nonexistent/file", NULL, 0, "a", TABLE_RETRY, NULL},
    {"cidr:/nonexistent/file", NULL, 0, "a", TABLE_RETRY, NULL},
    {"regexp:f", "/(a)/ $2\n/./ ok\n", 0, "a", TABLE_FOUND, "ok"},
    {"regexp:f", "!/a/ not\n", 0, "", TABLE_FOUND, "not"},
    {"regexp:f", "if !/a/\n/b/ b\nendif\n", 0, "b", TABLE_FOUND, "b"},
    /* cidr */
    {"cidr:f", "192.0.2.0/24 net\n", 0, "192.0.2.77", TABLE_FOUND, "net"},
    {"cidr:f", "192.0.2.0/24 net\n", 0, "192.0.3.1", TABLE_ABSENT, ""},
    {"cidr:f", "192.0.2.1 one $1\n", 0, "192.0.2.1", TABLE_FOUND, "one $1"},
    {"cidr:f", "192.0.2.1/24 bad\n0.0.0.0/0 all\n", 0, "192.0.2.1", TABLE_FOUND, "all"},
    {"cidr:f", "1.2.3/8 bad\n1.2.3.4/33 bad\n::/0 six\n", 0, "1.2.3.4", TABLE_ABSENT, ""},
    {"cidr:f", "2001:db8::/32 six\n", 0, "2001:db8:1::1", TABLE_FOUND, "six"},
    {"cidr:f", "[2001:db8::]/33 six\n", 0, "2001:db8:8000::1", TABLE_ABSENT, ""},
    {"cidr:f", "10.0.0.0/8 ten\n", 0, "::ffff:10.1.2.3", TABLE_FOUND, "ten"},
    {"cidr:f", "!10.0.0.0/8 other\n", 0, "11.0.0.1", TABLE_FOUND, "other"},
    {"cidr:f", "if 10.0.0.0/8\n10.1.0.0/16 in\nendif\n0.0.0.0/0 out\n", 0, "10.1.0.1", TABLE_FOUND, "in"},
    {"cidr:f", "if !10.0.0.0/8\n0.0.0.0/0 in\nendif\n", 0, "10.1.0.1", TABLE_ABSENT, ""},
    {"cidr:f", "0.0.0.0/0 all\n", 0, "host.example", TABLE_ABSENT, ""},
    /* rules in the parameter */
    {"pcre:{{/^foo$/ bar}}", NULL, 0, "FOO", TABLE_FOUND, "bar"},
    {"pcre:{ { /^foo$/i bar } , { /o{2}$/ two words, and a comma } }", NULL, 0, "Foo", TABLE_FOUND,
     "two words, and a comma"},
    {"pcre:{{/^(.*)@(.*)$/ ${2}=$1}}", NULL, 0, "a@b", TABLE_FOUND, "b=a"},
    {"pcre:{{/^(.*)$/ $1},{/./ second}}", NULL, TABLE_NO_SUBSTITUTION, "a", TABLE_FOUND, "second"},
    {"pcre:{{if /a/} {!/b/ a-no-b} {endif} {/./ rest}}", NULL, 0, "ab", TABLE_FOUND, "rest"},
    {"pcre:{{if /a/} {!/b/ a-no-b} {endif} {/./ rest}}", NULL, 0, "a", TABLE_FOUND, "a-no-b"},
    {"pcre:{{/(/ broken}, {/a/ ok}}", NULL, 0, "a", TABLE_FOUND, "ok"},
    {"pcre:{{/a/\n joined}}", NULL, 0, "b", TABLE_ABSENT, ""},
    {"pcre:{{/a/\n\n  over lines},\n {/b/ x}}", NULL, 0, "a", TABLE_FOUND, "over lines"},
    {"pcre:{{# /a/ no}, {}, {/a/ yes}}", NULL, 0, "a", TABLE_FOUND, "yes"},
    {"pcre:{}", NULL, 0, "a", TABLE_ABSENT, ""},
    {"pcre:{/a/ b}", NULL, 0, "a", TABLE_RETRY, NULL},
    {"pcre:{{/a/ b} /b/}", NULL, 0, "a", TABLE_RETRY, NULL},
    {"pcre:{{/a/ b}", NULL, 0, "a", TABLE_RETRY, NULL},
    {"pcre:{{/a{/ b}}", NULL, 0, "a", TABLE_RETRY, NULL},
    {"pcre:{{/a/ b}} x", NULL, 0, "a", TABLE_RETRY, NULL},
    {"regexp:{{/^a+$/ many}, {/b/x plain}}", NULL, 0, "aaa", TABLE_FOUND, "many"},
    {"regexp:{{/^a+$/ many}, {/b/x plain}}", NULL, 0, "xb", TABLE_FOUND, "plain"},
    {"cidr:{{192.0.2.0/24 net}, {2001:db8::/32 six words}}", NULL, 0, "192.0.2.9", TABLE_FOUND, "net"},
    {"cidr:{{192.0.2.0/24 net}, {2001:db8::/32 six words}}", NULL, 0, "2001:db8::1", TABLE_FOUND, "six words"},
    {"cidr:{{if 10.0.0.0/8}, {!10.1.0.0/16 ten}, {endif}}", NULL, 0, "10.2.0.1", TABLE_FOUND, "ten"},
    {"unionmap:{pcre:{{/a/ b}}, cidr:{{0.0.0.0/0 c}}, static:d}", NULL, 0, "a", TABLE_FOUND, "b,d"},
    {"proxy:pcre:{{/a/ b}}", NULL, 0, "a", TABLE_FOUND, "b"},
    /* texthash */
    {"texthash:f", "a b c\n", 0, "a", TABLE_FOUND, "b c"},
    {"texthash:f", "A b\n", TABLE_FOLD, "a", TABLE_FOUND, "b"},
    {"texthash:f", "A b\n", 0, "a", TABLE_ABSENT, ""},
    {"texthash:f", "a one\na two\n", 0, "a", TABLE_FOUND, "one"},
    {"texthash:f", "\"a b\"@x q\n", 0, "\"a b\"@x", TABLE_FOUND, "q"},
    {"texthash:f", "a b\n", TABLE_UTF8, "\xff", TABLE_ABSENT, ""},
    /* inline, static and the rest */
    {"inline:{ a=b, {c = d e} }", NULL, 0, "c", TABLE_FOUND, "d e"},
    {"inline:{ a=b, {c = d e} }", NULL, 0, "a", TABLE_FOUND, "b"},
    {"inline:{A=b}", NULL, TABLE_FOLD, "a", TABLE_FOUND, "b"},
    {"inline:{a=b}", NULL, 0, "b", TABLE_ABSENT, ""},
    {"inline:{a}", NULL, 0, "a", TABLE_RETRY, NULL},
    {"inline:{a=b", NULL, 0, "a", TABLE_RETRY, NULL},
    {"static:yes", NULL, 0, "x", TABLE_FOUND, "yes"},
    {"static:{ a b }", NULL, 0, "x", TABLE_FOUND, "a b"},
    {"environ:x", NULL, 0, "TERN_TEST_UNSET", TABLE_ABSENT, ""},
    {"fail:x", NULL, 0, "x", TABLE_RETRY, ""},
    {"unionmap:{static:a, inline:{x=b}, static:c}", NULL, 0, "x", TABLE_FOUND, "a,b,c"},
    {"unionmap:{inline:{x=b},inline:{x=c}}", NULL, 0, "y", TABLE_ABSENT, ""},
    {"unionmap:{static:a, fail:b}", NULL, 0, "x", TABLE_RETRY, ""},
    {"pipemap:{inline:{a=b}, inline:{b=c}}", NULL, 0, "a", TABLE_FOUND, "c"},
    {"pipemap:{inline:{a=b}, inline:{x=c}}", NULL, 0, "a", TABLE_ABSENT, ""},
    {"pipemap:{inline:{a=b}, fail:x}", NULL, 0, "a", TABLE_RETRY, ""},
    {"randmap:{one, {one}}", NULL, 0, "a", TABLE_FOUND, "one"},
    {"randmap:{}", NULL, 0, "a", TABLE_RETRY, NULL},
    {"proxy:inline:{a=b}", NULL, 0, "a", TABLE_FOUND, "b"},
    {"proxy:proxy:proxy:proxy:proxy:proxy:proxy:proxy:proxy:static:a", NULL, 0, "a", TABLE_RETRY, NULL},
    {"nosuch:x", NULL, 0, "a", TABLE_RETRY, NULL},
    {"plain", NULL, 0, "a", TABLE_RETRY, NULL},
    {"hash:/nonexistent/x", NULL, 0, "a", TABLE_RETRY, NULL},
};

static void check(const struct row *row) {
    struct table *table = NULL;
    struct failure failure = {0};
    struct buf value = {0};
    struct str name = str_from(row->type_name);
    bool opened = row->source != NULL ? table_open_text(name, str_from(row->source), row->flags, &table, &failure)
                                      : table_open(name, row->flags, &table, &failure);
    /* value NULL: it must not open. */
    if (opened != (row->value != NULL)) fail_msg("%s: opened %d: %s", row->type_name, opened, failure.text);
    if (!opened) {
        assert_true(failure.text[0] != '\0');
        return;
    }
    failure.text[0] = '\0';
    enum table_result result = table_lookup(table, str_from(row->key), &value, &failure);
    if (result != row->result || !str_equal(buf_str(&value), str_from(row->value)))
        fail_msg("%s \"%s\" key %s: got %d \"%s\" (%s)", row->type_name, row->source ? row->source : "", row->key,
                 (int)result, buf_string(&value), failure.text);
    assert_true((result == TABLE_RETRY) == (failure.text[0] != '\0'));
    buf_free(&value);
    table_close(&table);
    assert_null(table);
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) check(&rows[i]);
}

static void test_warnings_name_the_line(void **state) {
    (void)state;
    struct table *table;
    struct failure failure;
    assert_true(table_open_text(STR("pcre:name"), STR("# c\n\n/a/ b\n/(/ c\n"), 0, &table, &failure));
    assert_true(str_starts(table_warnings(table), STR("name, line 4: error in regular expression")));
    table_close(&table);
    assert_true(table_open(STR("pcre:{{/a/ b}, {/(/ c}}"), 0, &table, &failure));
    assert_true(str_starts(table_warnings(table), STR("inline rules, line 2: error in regular expression")));
    assert_false(table_changed(table));
    table_close(&table);
}

static void test_value_limit_is_retry(void **state) {
    (void)state;
    struct table *table;
    struct failure failure = {0};
    struct buf value = buf_make(3);
    assert_true(table_open(STR("static:four"), 0, &table, &failure));
    assert_int_equal(table_lookup(table, STR("x"), &value, &failure), TABLE_RETRY);
    assert_int_equal(value.length, 0);
    buf_free(&value);
    table_close(&table);
}

/* A pattern may be asked for anything, but not for a key without end; and its result may not fit. */
static void test_regexp_limits(void **state) {
    (void)state;
    struct table *table;
    struct failure failure = {0};
    struct buf value = buf_make(3), key = buf_make(0);
    assert_true(table_open_text(STR("regexp:f"), STR("/(a)/ $1$1$1$1\n/b/ b\n"), 0, &table, &failure));
    assert_int_equal(table_lookup(table, STR("a"), &value, &failure), TABLE_RETRY);
    assert_non_null(strstr(failure.text, "line 1: the result is too long"));
    for (size_t i = 0; i <= (size_t)1 << 20; i++) buf_append_char(&key, 'b');
    assert_int_equal(table_lookup(table, buf_str(&key), &value, &failure), TABLE_RETRY);
    assert_non_null(strstr(failure.text, "too long for regexp"));
    buf_free(&key);
    buf_free(&value);
    table_close(&table);
}

static void write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
}

/* From a file, which is then written anew. */
static void test_files_that_change(void **state) {
    static const struct {
        const char *type, *text, *key;
    } files[] = {
        {"pcre", "/^a$/ found\n", "a"},
        {"regexp", "/^a$/ found\n", "a"},
        {"cidr", "10.0.0.0/8 found\n", "10.1.1.1"},
        {"texthash", "a found\n", "a"},
    };
    char path[] = "/tmp/tern-table-XXXXXX";
    int made = mkstemp(path);
    (void)state;
    assert_true(made >= 0);
    close(made);
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct table *table = NULL;
        struct failure failure = {0};
        struct buf name = buf_make(0), value = buf_make(0);
        buf_printf(&name, "%s:%s", files[i].type, path);
        write_file(path, files[i].text);
        if (!table_open(buf_str(&name), 0, &table, &failure)) fail_msg("%s: %s", files[i].type, failure.text);
        assert_int_equal(table_lookup(table, str_from(files[i].key), &value, &failure), TABLE_FOUND);
        assert_string_equal(buf_string(&value), "found");
        assert_false(table_changed(table));
        write_file(path, "# another, and of another length\n");
        assert_true(table_changed(table));
        table_close(&table);
        buf_free(&name);
        buf_free(&value);
    }
    unlink(path);
}

static void test_types_are_sorted(void **state) {
    (void)state;
    for (size_t i = 1; i < table_types_count; i++)
        assert_true(str_compare(table_types[i - 1].name, table_types[i].name) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_warnings_name_the_line),
        cmocka_unit_test(test_value_limit_is_retry),
        cmocka_unit_test(test_regexp_limits),
        cmocka_unit_test(test_files_that_change),
        cmocka_unit_test(test_types_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
