/* Unit tables of alias right-hand sides, and of map and aliases text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alias_members.h"
#include "buf.h"
#include "table_source.h"

/* Members as text: A address, C command, F file, I include, each in [ ]. */
static void show(const struct alias_members *members, struct buf *text) {
    for (size_t i = 0; i < members->count; i++)
        buf_printf(text, "%c[%.*s]", "ACFI"[members->items[i].kind], STR_ARGS(members->items[i].value));
}

static void test_members(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *shown; /* NULL: malformed */
    } rows[] = {
        {"", ""},
        {" , ", ""},
        {"alice", "A[alice]"},
        {"alice, bob@example.com,carol", "A[alice]A[bob@example.com]A[carol]"},
        {"\\alice", "A[alice]"},
        {"\"joe user\"@example.com", "A[\"joe user\"@example.com]"},
        {"\"joe, user\"", "A[\"joe, user\"]"},
        {"Joe User <joe@example.com>", "A[joe@example.com]"},
        {"\"Joe, U\" <joe@example.com>, x", "A[joe@example.com]A[x]"},
        {"joe@example.com (Joe (the), User)", "A[joe@example.com]"},
        {"joe @ example . com", "A[joe@example.com]"},
        {"|/bin/cat", "C[/bin/cat]"},
        {"\"|/bin/cat -n, x\"", "C[/bin/cat -n, x]"},
        {"|\"/bin/cat -n\"", "C[/bin/cat -n]"},
        {"\"|/bin/sh -c \\\"a b\\\"\"", "C[/bin/sh -c \"a b\"]"},
        {"|/bin/x \"a b\"", "C[/bin/x \"a b\"]"},
        {"/var/mail/x, \"/var/mail/a b\", /home/x/Maildir/", "F[/var/mail/x]F[/var/mail/a b]F[/home/x/Maildir/]"},
        {":include:/etc/list", "I[/etc/list]"},
        {"\":include:/etc/a list\", :INCLUDE: /x", "I[/etc/a list]I[/x]"},
        {":include:\"/etc/a list\"", "I[/etc/a list]"},
        {":include:list", NULL},
        {":include:", NULL},
        {"|", NULL},
        {"<>", NULL},
        {"\"\"", NULL},
        {"alice bob", NULL},
        {"\"alice", NULL},
        {"alice (", NULL},
        {"<alice", NULL},
        {"alice>", NULL},
        {"<a> b", NULL},
        {"<a> <b>", NULL},
        {"a\x01" "b", NULL},
        {"a,\n b", "A[a]A[b]"},
        {" \\\n.\x7f", NULL},
        {"\"|x\ny\"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena = arena_create(0);
        struct alias_members members = {0};
        struct failure failure = {0};
        struct buf text = {0};
        bool sound = alias_members_parse(str_from(rows[i].text), 10, arena, &members, &failure);
        if (sound) show(&members, &text);
        if (sound != (rows[i].shown != NULL) || (sound && !str_equal(buf_str(&text), str_from(rows[i].shown))))
            fail_msg("%s: %d %s (%s)", rows[i].text, sound, buf_string(&text), failure.text);
        buf_free(&text);
        arena_destroy(&arena);
    }
}

static void test_member_limit(void **state) {
    (void)state;
    struct arena *arena = arena_create(0);
    struct alias_members members = {.count = 77};
    struct failure failure;
    assert_false(alias_members_parse(STR("a,b,c"), 2, arena, &members, &failure));
    assert_int_equal(members.count, 77);
    arena_destroy(&arena);
}

static void test_member_file(void **state) {
    (void)state;
    struct arena *arena = arena_create(0);
    struct alias_members members;
    struct failure failure;
    struct buf text = {0};
    assert_true(alias_members_parse_file(STR("# c\n\nalice, bob,\n  \"|x y\"\n"), 10, arena, &members, &failure));
    show(&members, &text);
    assert_string_equal(buf_string(&text), "A[alice]A[bob]C[x y]");
    assert_false(alias_members_parse_file(STR("a\n\nb c\n"), 10, arena, &members, &failure));
    assert_true(str_starts(str_from(failure.text), STR("line 3: ")));
    buf_free(&text);
    arena_destroy(&arena);
}

static void test_sources(void **state) {
    (void)state;
    static const struct {
        enum table_source_format format;
        const char *text;
        const char *shown; /* LINE:key=value; or LINE! for a malformed entry */
    } rows[] = {
        {TABLE_SOURCE_MAP, "", ""},
        {TABLE_SOURCE_MAP, "a b", "1:a=b;"},
        {TABLE_SOURCE_MAP, "# x\n\n a  b c \r\n", "3:a=b c;"},
        {TABLE_SOURCE_MAP, "a b\n  c\n# x\n\n\td\ne f\n", "1:a=b  c\td;6:e=f;"},
        {TABLE_SOURCE_MAP, "\"a b\"@x y\n", "1:\"a b\"@x=y;"},
        {TABLE_SOURCE_MAP, "\"a b\n", "1!"},
        {TABLE_SOURCE_MAP, "a\nb: c\nd e\n", "1!2!3:d=e;"},
        {TABLE_SOURCE_ALIASES, "a: b\n", "1:a=b;"},
        {TABLE_SOURCE_ALIASES, "a : b,\n c\n", "1:a=b, c;"},
        {TABLE_SOURCE_ALIASES, "\"a : b\": c\n", "1:a : b=c;"},
        {TABLE_SOURCE_ALIASES, "a b\n: c\nd:\ne: f g\nh: |x\n", "1!2!3!4!5:h=|x;"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct table_source source;
        struct table_entry entry;
        struct failure failure;
        struct buf shown = {0};
        table_source_start(&source, rows[i].format, str_from(rows[i].text));
        for (;;) {
            enum table_source_result result = table_source_next(&source, &entry, &failure);
            if (result == TABLE_SOURCE_END) break;
            buf_printf(&shown, "%zu", entry.line);
            if (result == TABLE_SOURCE_MALFORMED) buf_append_char(&shown, '!');
            else buf_printf(&shown, ":%.*s=%.*s;", STR_ARGS(entry.key), STR_ARGS(entry.value));
        }
        table_source_finish(&source);
        assert_string_equal(buf_string(&shown), rows[i].shown);
        buf_free(&shown);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_member_limit),
        cmocka_unit_test(test_member_file),
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
