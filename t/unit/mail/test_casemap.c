/* Unit table of lib/mail/casemap. */
#include "expect.h"
#include "casemap.h"

static void test_fold(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"hello World_12@[`{z", "HELLO WORLD_12@[`{Z"},
        {"abcdefghijklmnopqrstuvwxyz{|}~", "ABCDEFGHIJKLMNOPQRSTUVWXYZ{|}~"},
        {"J\303\266rg", "JO\314\210RG"},
        {"\303\226", "O\314\210"},
        {"o\314\210", "O\314\210"},
        {"\307\206", "DZ\314\214"},               /* U+01C6: U+01C5, D and U+017E, that again */
        {"\303\237", "\303\237"},                 /* sharp s has no titlecase of one character */
        {"\317\202\317\203", "\316\243\316\243"}, /* both sigmas */
        {"\357\254\201", "FI"},                   /* the ligature fi */
        {"\357\274\241\357\275\201", "AA"},       /* full width */
        {"\352\260\200", "\352\260\200"},         /* Hangul stays */
        {"\320\277\321\200\320\270", "\320\237\320\240\320\230"},
        {"\341\272\233", "S\314\207"}, /* long s with dot: in two steps */
        {"a\377b\303", "A\377B\303"},
        {"\342\204\253", "A\314\212"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        assert_true(casemap_append(&out, str_from(rows[i][0])));
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        buf_free(&out);
    }
    assert_true(casemap_equal(STR("GR\303\234\303\237E"), STR("gru\314\210\303\237e")));
    assert_false(casemap_equal(STR("a"), STR("b")));
    struct buf small = buf_make(3);
    assert_false(casemap_append(&small, STR("abcdef")));
    buf_free(&small);
}

static bool search_in_pieces(struct str key, struct str text, size_t piece) {
    struct casemap_search search;
    bool found = false;
    casemap_search_begin(&search, key);
    for (size_t at = 0; at < text.length || at == 0; at += piece)
        found = casemap_search_next(&search, str_slice(text, at, at + piece)) || found;
    casemap_search_free(&search);
    return found;
}

static void test_search(void **state) {
    (void)state;
    static const struct {
        const char *key, *text;
        bool found;
    } rows[] = {
        {"", "", true},
        {"a", "", false},
        {"world", "Hello, WORLD!", true},
        {"word", "Hello, WORLD!", false},
        {"aab", "aaaaaaab", true},
        {"J\303\226RG", "hello j\303\266rg.", true},
        {"\303\266\342\202\254\360\237\230\200", "abc\303\226\342\202\254\360\237\230\200def", true},
        {"\303\266\342\202\254\360\237\230\200", "abc\303\226\342\202\254\360\237\230\201def", false},
        {"x\377y", "aX\377Yb", true},
        {"\303", "a\303", false}, /* cut: not a character yet */
        {"fine", "\357\254\201ne", true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (size_t piece = 1; piece < 20; piece++)
            expect_int(search_in_pieces(str_from(rows[i].key), str_from(rows[i].text), piece), rows[i].found,
                       rows[i].key);
    }
    struct casemap_search search;
    casemap_search_begin(&search, STR("ab"));
    assert_false(casemap_search_next(&search, STR("xA")));
    casemap_search_restart(&search);
    assert_false(casemap_search_next(&search, STR("bx")));
    assert_true(casemap_contains(&search, STR("xABx")));
    assert_false(casemap_contains(&search, STR("xAxBx")));
    casemap_search_free(&search);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fold), cmocka_unit_test(test_search)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
