/* main.cf: logical lines, settings, expansion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"
#include "main_cf.h"
#include "memory.h"

/* ---- settings */

struct parse_row {
    const char *text;
    const char *name; /* a setting that has to be there; NULL: parsing has to fail */
    const char *value;
    size_t line;
    const char *wrong; /* a part of the message */
};

static const struct parse_row parse_rows[] = {
    {"a = b\n", "a", "b", 1, NULL},
    {"a=b", "a", "b", 1, NULL},
    {"a = b # not a comment\n", "a", "b # not a comment", 1, NULL},
    {"# c\n\n  # d\na =\n", "a", "", 4, NULL},
    {"a = b\n  c\n\td\n", "a", "b c d", 1, NULL},
    {"a = b,\n# c\n\n   # d\n   e\nf = g\n", "a", "b, e", 1, NULL},
    {"a = b,\n# c\n   e\nf = g\n", "f", "g", 4, NULL},
    {"a =   b    c\n", "a", "b c", 1, NULL},
    {"a = b\r\nc = d\r\n", "a", "b", 1, NULL},
    {"a = 1\nb = 2\na = 3\n", "a", "3", 3, NULL},
    {"a = b = c\n", "a", "b = c", 1, NULL},
    {"scalemail-backend_time_limit = 5\n", "scalemail-backend_time_limit", "5", 1, NULL},
    {"a = \xc3\xa9\n", "a", "\xc3\xa9", 1, NULL},
    {"a = b\nc\n", NULL, NULL, 0, "main.cf, line 2: \"c\" has no =; a setting is written name = value"},
    {"= b\n", NULL, NULL, 0, "line 1: no name before the ="},
    {"a b = c\n", NULL, NULL, 0, "\"a b\" is no name"},
    {"  a = b\n", NULL, NULL, 0, "line 1: begins with white space but continues nothing"},
    {"a = b\x01\n", NULL, NULL, 0, "line 1: a control character"},
};

static const struct main_cf_setting *find(const struct main_cf *main_cf, const char *name) {
    for (size_t i = 0; i < main_cf->count; i++)
        if (str_equal(main_cf->settings[i].name, str_from(name)))
            return &main_cf->settings[i];
    return NULL;
}

static void test_parse(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(parse_rows); i++) {
        const struct parse_row *row = &parse_rows[i];
        struct main_cf *main_cf = NULL;
        struct failure failure = {0};
        bool done = main_cf_parse(str_from(row->text), "main.cf", &main_cf, &failure);
        if (!row->name) {
            assert_false(done);
            assert_null(main_cf);
            if (!strstr(failure.text, row->wrong))
                fail_msg("\"%s\" said \"%s\"", row->text, failure.text);
            continue;
        }
        assert_true(done);
        const struct main_cf_setting *setting = find(main_cf, row->name);
        assert_non_null(setting);
        assert_string_equal(setting->value.data, row->value);
        assert_int_equal(setting->line, row->line);
        main_cf_free(&main_cf);
        assert_null(main_cf);
    }
}

static void test_later_wins(void **state) {
    (void)state;
    struct main_cf *main_cf = NULL;
    struct failure failure;
    assert_true(main_cf_parse(STR("a = 1\na = 2\n"), "main.cf", &main_cf, &failure));
    assert_int_equal(main_cf->count, 1);
    assert_int_equal(main_cf->settings[0].overrides_line, 1);
    assert_string_equal(main_cf->settings[0].overridden.data, "1");
    main_cf_free(&main_cf);
}

static void test_lines_know_their_place(void **state) {
    (void)state;
    struct str text = STR("# head\na = 1\n  # within\n  2\n\n# between\nb = 3");
    struct config_lines lines;
    struct config_line line;
    struct failure failure;
    config_lines_start(&lines, text);
    assert_int_equal(config_lines_next(&lines, &line, &failure), CONFIG_LINES_LINE);
    assert_true(str_equal(str_slice(text, line.begin, line.end), STR("a = 1\n  # within\n  2\n")));
    assert_int_equal(config_lines_next(&lines, &line, &failure), CONFIG_LINES_LINE);
    assert_true(str_equal(str_slice(text, line.begin, line.end), STR("b = 3")));
    assert_int_equal(line.number, 7);
    assert_int_equal(config_lines_next(&lines, &line, &failure), CONFIG_LINES_END);
    config_lines_finish(&lines);
}

/* ---- expansion */

static const char *const values[][2] = {
    {"empty", ""},        {"one", "1"},           {"two", "2"},         {"ten", "10"},
    {"word", "w"},        {"chain", "$word$one"}, {"loop", "$loop"},    {"circle", "a${circle2}"},
    {"circle2", "$circle"}, {"nothing", "$empty"},  {"bomb", "$bomb1$bomb1$bomb1$bomb1"},
    {"bomb1", "$bomb2$bomb2$bomb2$bomb2$bomb2$bomb2$bomb2$bomb2"},
    {"bomb2", "$bomb3$bomb3$bomb3$bomb3$bomb3$bomb3$bomb3$bomb3"},
    {"bomb3", "$bomb4$bomb4$bomb4$bomb4$bomb4$bomb4$bomb4$bomb4"},
    {"bomb4", "$bomb5$bomb5$bomb5$bomb5$bomb5$bomb5$bomb5$bomb5"},
    {"bomb5", "$empty$empty$empty$empty$empty$empty$empty$empty"},
};

static bool lookup(void *context, struct str name, struct str *value, bool *literal) {
    (void)context;
    if (str_equal(name, STR("raw"))) {
        *value = STR("$word");
        *literal = true;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        if (str_equal(name, str_from(values[i][0]))) {
            *value = str_from(values[i][1]);
            return true;
        }
    return false;
}

struct expand_row {
    const char *text;
    const char *expanded; /* NULL: has to fail with a part of the message in wrong */
    const char *wrong;
};

static const struct expand_row expand_rows[] = {
    {"", "", NULL},
    {"plain", "plain", NULL},
    {"$word", "w", NULL},
    {"a$word.b", "aw.b", NULL},
    {"${word}x", "wx", NULL},
    {"$(word)x", "wx", NULL},
    {"$chain", "w1", NULL},
    {"$raw", "$word", NULL},
    {"$$word", "$word", NULL},
    {"$unknown", "", NULL},
    {"${word?text}", "text", NULL},
    {"${word?}", "", NULL},
    {"${empty?text}", "", NULL},
    {"${unknown?text}", "", NULL},
    {"${nothing?text}", "", NULL},
    {"${empty:text}", "text", NULL},
    {"${word:text}", "", NULL},
    {"${word?a $one b}", "a 1 b", NULL},
    {"${word?{a}:{b}}", "a", NULL},
    {"${empty?{a}:{b}}", "b", NULL},
    {"${word ? {a} : {b}}", "a", NULL},
    {"${empty:{b}}", "b", NULL},
    {"${word?${empty?{x}:{y$two}}}", "y2", NULL},
    {"${empty?{1}:{20}}s", "20s", NULL},
    {"${{$one} == {1} ? {x} : {y}}", "x", NULL},
    {"${{$one} == {2} ? {x} : {y}}", "y", NULL},
    {"${{$one} != {2} ? {x} : {y}}", "x", NULL},
    {"${{$two} < {$ten} ? {x} : {y}}", "x", NULL},
    {"${{2a} < {10} ? {x} : {y}}", "y", NULL},
    {"${{$ten} >= {10} ? {x} : {y}}", "x", NULL},
    {"${{$ten} <= {9} ? {x} : {y}}", "y", NULL},
    {"${{$ten} > {9} ? {x} : {y}}", "x", NULL},
    {"${{3.10} >level {3.9} ? {x} : {y}}", "x", NULL},
    {"${{3.6} <level {3.6} ? {x} : {y}}", "y", NULL},
    {"${{3.6} <=level {3.6} ? {x} : {y}}", "x", NULL},
    {"${{$word} == {w}}", "true", NULL},
    {"${{$word} == {v}}", "", NULL},
    {"${{$word} == {w} ? {x}}", "x", NULL},
    {"${{$word} == {w} ?x}", "x", NULL},
    {"${{$word} == {w} : {x}}", "", NULL},
    {"$", NULL, "no name after $; a dollar sign itself is written $$"},
    {"$!", NULL, "no name after $"},
    {"${word", NULL, "the { after $ is not closed"},
    {"$(word", NULL, "the ( after $ is not closed"},
    {"${}", NULL, "has no name"},
    {"${word!}", NULL, "after the name comes }, ? or :"},
    {"${word?{a}:b}", NULL, "what follows : has to stand in { }"},
    {"${word?{a}x}", NULL, "after the last } is too much"},
    {"${{a} ~ {b}}", NULL, "no comparison between"},
    {"${{a} == b}", NULL, "what is compared has to stand in { }"},
    {"${{a} == {b} x}", NULL, "? or : belongs there"},
    {"$loop", NULL, "leads back to itself"},
    {"$circle", NULL, "leads back to itself"},
    {"$bomb", NULL, "more than"},
};

static void test_expand(void **state) {
    (void)state;
    const struct main_cf_lookup names = {.lookup = lookup};
    for (size_t i = 0; i < ARRAY_LENGTH(expand_rows); i++) {
        const struct expand_row *row = &expand_rows[i];
        struct buf out = buf_make(0);
        struct failure failure = {0};
        bool done = main_cf_expand(str_from(row->text), &names, &out, &failure);
        if (row->expanded) {
            if (!done)
                fail_msg("\"%s\": %s", row->text, failure.text);
            assert_string_equal(buf_string(&out), row->expanded);
        } else {
            assert_false(done);
            assert_int_equal(out.length, 0);
            if (!strstr(failure.text, row->wrong))
                fail_msg("\"%s\" said \"%s\"", row->text, failure.text);
        }
        buf_free(&out);
    }
}

static void test_expand_is_bounded(void **state) {
    (void)state;
    const struct main_cf_lookup names = {.lookup = lookup};
    struct buf text = buf_make(0), out = buf_make(0);
    struct failure failure;
    for (int i = 0; i < 100000; i++)
        buf_append(&text, STR("${word?"));
    for (int i = 0; i < 100000; i++)
        buf_append(&text, STR("}"));
    assert_false(main_cf_expand(buf_str(&text), &names, &out, &failure));
    buf_free(&text);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),         cmocka_unit_test(test_later_wins), cmocka_unit_test(test_lines_know_their_place),
        cmocka_unit_test(test_expand),        cmocka_unit_test(test_expand_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
