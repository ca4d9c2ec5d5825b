/* Unit tables of match lists and of the words that they, and lists of tables, are made of. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"
#include "match_list.h"
#include "table_words.h"

static void test_words(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *joined; /* words parted by | ; ending in ! if unbalanced */
    } rows[] = {
        {"", ""},
        {" , ,", ""},
        {"a, b  c,d", "a|b|c|d|"},
        {"inline:{ {k = v}, a=b } x", "inline:{ {k = v}, a=b }|x|"},
        {"a {b", "a|!"},
        {"a }b", "a|!"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf joined = {0};
        struct str rest = str_from(rows[i].text);
        struct str word;
        enum table_word taken;
        while ((taken = table_word_next(&rest, &word)) == TABLE_WORD)
            buf_printf(&joined, "%.*s|", STR_ARGS(word));
        if (taken == TABLE_WORD_UNBALANCED) buf_append_char(&joined, '!');
        assert_string_equal(buf_string(&joined), rows[i].joined);
        buf_free(&joined);
    }
}

#define PARENT    MATCH_LIST_PARENT
#define NAMES     MATCH_LIST_NAMES
#define ADDRESSES MATCH_LIST_ADDRESSES

static void test_match_lists(void **state) {
    (void)state;
    static const struct {
        const char *list;
        unsigned flags;
        const char *name;    /* "" for none */
        const char *address; /* NULL: ask by name only */
        int result;          /* -1: the list is malformed */
    } rows[] = {
        {"", 0, "a.example", NULL, MATCH_NO},
        {"example.org, example.com", 0, "Example.COM", NULL, MATCH_YES},
        {"example.com", 0, "a.example.com", NULL, MATCH_NO},
        {"example.com", PARENT, "a.example.com", NULL, MATCH_YES},
        {"example.com", PARENT, "aexample.com", NULL, MATCH_NO},
        {".example.com", 0, "a.example.com", NULL, MATCH_YES},
        {".example.com", 0, "example.com", NULL, MATCH_NO},
        {"!a.example.com, .example.com", 0, "a.example.com", NULL, MATCH_NO},
        {"!a.example.com, .example.com", 0, "b.example.com", NULL, MATCH_YES},
        {"!!a.example", 0, "a.example", NULL, MATCH_YES},
        {"inline:{example.com=x}", 0, "example.com", NULL, MATCH_YES},
        {"inline:{example.com=x}", 0, "a.example.com", NULL, MATCH_NO},
        {"inline:{example.com=x}", PARENT, "b.a.example.com", NULL, MATCH_YES},
        {"inline:{.example.com=x}", 0, "b.a.example.com", NULL, MATCH_YES},
        {"inline:{A.Example=x}", 0, "a.example", NULL, MATCH_YES},
        {"fail:x, a.example", 0, "a.example", NULL, MATCH_RETRY},
        {"a.example, fail:x", 0, "a.example", NULL, MATCH_YES},
        {"/nonexistent/file", 0, "a.example", NULL, MATCH_RETRY},
        {"hash:/nonexistent/file", 0, "a.example", NULL, MATCH_RETRY},
        {"[192.0.2.1]", NAMES, "[192.0.2.1]", NULL, MATCH_YES},
        {"127.0.0.0/8 [::1]/128", ADDRESSES, "", "127.1.2.3", MATCH_YES},
        {"127.0.0.0/8 [::1]/128", ADDRESSES, "", "::1", MATCH_YES},
        {"127.0.0.0/8 [::1/128]", ADDRESSES, "", "::1", MATCH_YES},
        {"127.0.0.0/8 ::1/128", ADDRESSES, "", "::1", MATCH_YES},
        {"127.0.0.0/8 [::1]/128", ADDRESSES, "", "::2", MATCH_NO},
        {"127.0.0.0/8", ADDRESSES, "", "::ffff:127.0.0.1", MATCH_YES},
        {"[::ffff:127.0.0.0]/104", ADDRESSES, "", "127.0.0.1", MATCH_YES},
        {"!10.0.0.1, 10.0.0.0/8", ADDRESSES, "", "10.0.0.1", MATCH_NO},
        {"!10.0.0.1, 10.0.0.0/8", ADDRESSES, "", "10.0.0.2", MATCH_YES},
        {"0.0.0.0/0", ADDRESSES, "", "::1", MATCH_NO},
        {"0.0.0.0/0", ADDRESSES, "", "not an address", MATCH_NO},
        {"inline:{10.0.0.1=x}", ADDRESSES, "", "10.0.0.1", MATCH_YES},
        {"10.0.0.1/8", ADDRESSES, "", "10.0.0.1", -1},
        {"10.0.0/8", ADDRESSES, "", "10.0.0.1", -1},
        {"10.0.0.0/33", ADDRESSES, "", "10.0.0.1", -1},
        {"localhost", ADDRESSES, "", "10.0.0.1", -1},
        {"!", 0, "a", NULL, -1},
        {"inline:{a", 0, "a", NULL, -1},
        {"good.example, 192.0.2.0/24", 0, "good.example", "198.51.100.1", MATCH_YES},
        {"good.example, 192.0.2.0/24", 0, "unknown", "192.0.2.9", MATCH_YES},
        {"!192.0.2.9, good.example", 0, "good.example", "192.0.2.9", MATCH_NO},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct match_list *list = NULL;
        struct failure failure = {0};
        bool opened = match_list_open(str_from(rows[i].list), rows[i].flags, &list, &failure);
        if (opened != (rows[i].result >= 0)) fail_msg("%s: opened %d %s", rows[i].list, opened, failure.text);
        if (!opened) continue;
        struct str name = str_from(rows[i].name);
        enum match_result result = rows[i].address == NULL
                                       ? match_list_name(list, name, &failure)
                                       : match_list_host(list, name, str_from(rows[i].address), &failure);
        if ((int)result != rows[i].result)
            fail_msg("%s, %s %s: %d", rows[i].list, rows[i].name, rows[i].address ? rows[i].address : "", (int)result);
        if (result == MATCH_RETRY) assert_true(failure.text[0] != '\0');
        match_list_close(&list);
    }
}

static void write_file(const char *path, struct str text) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text.data, text.length), text.length);
    close(file);
}

static bool open_files_list(const char *path, struct match_list **list, struct failure *failure) {
    return match_list_open(str_from(path), 0, list, failure);
}

/* A list's items in a file, which changes; a file that names itself; items that are none. */
static void test_match_list_files(void **state) {
    char path[] = "/tmp/tern-list-XXXXXX";
    int made = mkstemp(path);
    struct match_list *list = NULL;
    struct failure failure = {0};
    (void)state;
    assert_true(made >= 0);
    close(made);
    write_file(path, STR("# hosts\n\na.example,b.example\n  !c.example\n.example\nlast.test"));
    assert_true(open_files_list(path, &list, &failure));
    assert_int_equal(match_list_name(list, STR("b.example"), &failure), MATCH_YES);
    assert_int_equal(match_list_name(list, STR("c.example"), &failure), MATCH_NO);
    assert_int_equal(match_list_name(list, STR("d.example"), &failure), MATCH_YES);
    assert_int_equal(match_list_name(list, STR("last.test"), &failure), MATCH_YES);
    assert_false(match_list_changed(list));
    write_file(path, STR("another.example\n"));
    assert_true(match_list_changed(list));
    match_list_close(&list);

    write_file(path, str_from(path));
    assert_false(open_files_list(path, &list, &failure));
    assert_non_null(strstr(failure.text, "name each other too deep"));
    write_file(path, STR("good.example\n!\n"));
    assert_false(open_files_list(path, &list, &failure));
    assert_non_null(strstr(failure.text, path));
    unlink(path);

    /* What could not be opened may be there by now; a table's file that stays as it is has not changed. */
    assert_true(match_list_open(STR("/nonexistent/file"), 0, &list, &failure));
    assert_true(match_list_changed(list));
    match_list_close(&list);
    assert_true(match_list_open(STR("static:x"), 0, &list, &failure));
    assert_false(match_list_changed(list));
    match_list_close(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_match_lists),
        cmocka_unit_test(test_match_list_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
