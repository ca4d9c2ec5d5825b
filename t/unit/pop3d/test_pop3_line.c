/* pop3_line: commands and their arguments, CAPA, LANG, unique IDs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pop3_line.h"

#define BEFORE POP3_AUTHORIZATION
#define AFTER  POP3_TRANSACTION

static const struct {
    const char *text;
    enum pop3_state state;
    enum pop3_word word;
    unsigned count;
    const char *first, *second;
} rows[] = {
    {"RETR 1", AFTER, POP3_RETR, 1, "1", ""},
    {"retr  1 ", AFTER, POP3_RETR, 1, "1", ""},
    {"RETR", AFTER, POP3_NONE, 0, "", ""},
    {"RETR 1 2", AFTER, POP3_NONE, 0, "", ""},
    {"RETR 1", BEFORE, POP3_NONE, 0, "", ""},
    {"RETR\t1", AFTER, POP3_NONE, 0, "", ""},
    {"TOP 1 0", AFTER, POP3_TOP, 2, "1", "0"},
    {"TOP 1", AFTER, POP3_NONE, 0, "", ""},
    {"TOP 1 2 3", AFTER, POP3_NONE, 0, "", ""},
    {"LIST", AFTER, POP3_LIST, 0, "", ""},
    {"LIST 7", AFTER, POP3_LIST, 1, "7", ""},
    {"STAT ", AFTER, POP3_STAT, 0, "", ""},
    {"STAT 1", AFTER, POP3_NONE, 0, "", ""},
    {"USER a b", BEFORE, POP3_USER, 1, "a b", ""},
    {"USER", BEFORE, POP3_NONE, 0, "", ""},
    {"USER a", AFTER, POP3_NONE, 0, "", ""},
    {"PASS  a b ", BEFORE, POP3_PASS, 1, " a b ", ""},
    {"PASS", BEFORE, POP3_PASS, 0, "", ""},
    {"AUTH PLAIN =", BEFORE, POP3_AUTH, 2, "PLAIN", "="},
    {"AUTH", BEFORE, POP3_AUTH, 0, "", ""},
    {"STLS", BEFORE, POP3_STLS, 0, "", ""},
    {"STLS", AFTER, POP3_NONE, 0, "", ""},
    {"CAPA", BEFORE, POP3_CAPA, 0, "", ""},
    {"quit", AFTER, POP3_QUIT, 0, "", ""},
    {"LAST", AFTER, POP3_NONE, 0, "", ""},
    {"NONE", AFTER, POP3_NONE, 0, "", ""},
    {"", AFTER, POP3_NONE, 0, "", ""},
    {" STAT", AFTER, POP3_NONE, 0, "", ""},
};

static void test_lines(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct pop3_line line;
        bool good = pop3_line_parse(str_from(rows[i].text), rows[i].state, &line);
        if (good != (rows[i].word != POP3_NONE) || line.word != rows[i].word || line.count != rows[i].count ||
            good != (line.error == NULL))
            fail_msg("'%s' is taken for command %d with %u arguments", rows[i].text, (int)line.word, line.count);
        if (line.count > 0) assert_true(str_equal(line.arguments[0], str_from(rows[i].first)));
        if (line.count > 1) assert_true(str_equal(line.arguments[1], str_from(rows[i].second)));
    }
}

static void test_numbers(void **state) {
    uint32_t number = 0;
    (void)state;
    assert_true(pop3_number(STR("3"), 3, &number) && number == 3);
    assert_true(pop3_number(STR("01"), 3, &number) && number == 1);
    assert_false(pop3_number(STR("0"), 3, &number) || pop3_number(STR("4"), 3, &number) ||
                 pop3_number(STR("-1"), 3, &number) || pop3_number(STR(""), 3, &number) ||
                 pop3_number(STR("18446744073709551617"), 3, &number) || pop3_number(STR("1"), 0, &number));
}

static const struct {
    const char *format, *text; /* text NULL: not valid */
} formats[] = {
    {"%08Xu%08Xv", "0000001f6561f3a2"},
    {"%u", "31"},
    {"%v-%u", "1700918178-31"},
    {"%v.%u", "1700918178.31"},
    {"UID%u-%v", "UID31-1700918178"},
    {"%f", "170.M1P2.host,S=3_"},
    {"%Xu", "1f"},
    {"%4u%%", "__31%"},
    {"%v", NULL}, /* would be the same for all */
    {"", NULL},
    {"x", NULL},
    {"%", NULL},
    {"%u%", NULL},
    {"%u%08", NULL},
    {"%u %v", NULL},
    {"%u%m", NULL},
    {"%08f", NULL},
    {"%999999u", NULL},
};

static void test_uidl(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        struct str format = str_from(formats[i].format);
        struct buf text = buf_make(0);
        if (pop3_uidl_is_valid(format) != (formats[i].text != NULL))
            fail_msg("'%s' is judged wrongly", formats[i].format);
        pop3_uidl_append(format, 31, 0x6561f3a2, STR("170.M1P2.host,S=3\xfc"), &text);
        if (formats[i].text && !str_equal(buf_str(&text), str_from(formats[i].text)))
            fail_msg("'%s' gives %s", formats[i].format, buf_string(&text));
        buf_free(&text);
    }
    assert_true(pop3_uidl_wants_name(STR("%u%f")));
    assert_false(pop3_uidl_wants_name(STR("%u%%f")) || pop3_uidl_wants_name(STR("%q%f")));
}

static void test_words(void **state) {
    struct buf text = buf_make(0);
    (void)state;
    pop3_capabilities(0, &text);
    assert_string_equal(
        buf_string(&text),
        "UTF8 USER\r\nLANG\r\nUIDL\r\nTOP\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n"
        "IMPLEMENTATION tern\r\n");
    buf_clear(&text);
    pop3_capabilities(60, &text);
    assert_true(str_find_str(buf_str(&text), STR("\r\nLOGIN-DELAY 60\r\n")) != STR_NONE);
    buf_clear(&text);
    pop3_language(false, STR_EMPTY, &text);
    assert_true(str_ends(buf_str(&text), STR("\r\n.\r\n")));
    static const char *const languages[][2] = {
        {"EN", "+OK en "}, {"*", "+OK i-default "}, {"i-default", "+OK i-default "}, {"de", "-ERR"}};
    for (size_t i = 0; i < ARRAY_LENGTH(languages); i++) {
        buf_clear(&text);
        pop3_language(true, str_from(languages[i][0]), &text);
        assert_true(str_starts(buf_str(&text), str_from(languages[i][1])));
    }
    buf_free(&text);
}

int main(void) {
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_numbers),
                                              cmocka_unit_test(test_uidl), cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
