/* Unit table of the lines of Dovecot's auth protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dovecot_line.h"

/* Line; "kind number name|parameter=value|..."; NULL: malformed. */
static const struct {
    struct str line;
    const char *wanted;
} table[] = {
    {STR_INIT("VERSION\t1\t2"), "0 1 |2="},
    {STR_INIT("VERSION\tx"), NULL},
    {STR_INIT("VERSION"), NULL},
    {STR_INIT("MECH\tPLAIN\tplaintext"), "1 0 PLAIN|plaintext="},
    {STR_INIT("MECH\tSCRAM-SHA-256\tdictionary\tactive\tmutual-auth"),
     "1 0 SCRAM-SHA-256|dictionary=|active=|mutual-auth="},
    {STR_INIT("MECH"), NULL},
    {STR_INIT("DONE"), "2 0 "},
    {STR_INIT("SPID\t77"), "6 0 |77="},
    {STR_INIT(""), "6 0 "},
    {STR_INIT("COOKIE\tabc"), "6 0 |abc="},
    {STR_INIT("CONT\t5\tAbc="), "3 5 Abc="},
    {STR_INIT("CONT\t5\t"), "3 5 "},
    {STR_INIT("CONT\t5"), "3 5 "},
    {STR_INIT("CONT\t\tAbc"), NULL},
    {STR_INIT("OK\t5\tuser=anna@example.test\tresp=eA=="), "4 5 |user=anna@example.test|resp=eA=="},
    {STR_INIT("OK\t5\tuser=a\001"
              "1\001tb\001nc\001rd\001"
              "0e\001x"),
     "4 5 |user=a\001\tb\nc\rd?ex"},
    {STR_INIT("OK\t5\tuser=a\001"), "4 5 |user=a\001"},
    {STR_INIT("OK\t4294967295\t\t\tuser=a=b"), "4 4294967295 |user=a=b"},
    {STR_INIT("OK\t4294967296\tuser=a"), NULL},
    {STR_INIT("OK\t-1\tuser=a"), NULL},
    {STR_INIT("OK"), NULL},
    {STR_INIT("FAIL\t5\tuser=x\ttemp\treason=not now"), "5 5 |user=x|temp=|reason=not now"},
    {STR_INIT("FAIL\t5"), "5 5 "},
    {STR_INIT("OK\t5\tuser=a\0b"), NULL},
};

static void test_lines(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct failure failure = {0};
        struct dovecot_line line = {.number = 77};
        struct buf text = buf_make(0), value = buf_make(0);
        struct str name;
        bool good = dovecot_line_parse(table[i].line, &line, &failure);
        if (good != (table[i].wanted != NULL)) print_error("%.*s\n", STR_ARGS(table[i].line));
        assert_int_equal(good, table[i].wanted != NULL);
        if (!good) {
            assert_int_equal(line.number, 77);
            continue;
        }
        buf_printf(&text, "%d %llu %.*s", (int)line.kind, (unsigned long long)line.number, STR_ARGS(line.name));
        while (dovecot_parameter_next(&line.parameters, &name, &value)) {
            for (size_t k = 0; k < value.length; k++)
                if (value.data[k] == '\0') value.data[k] = '?';
            buf_printf(&text, "|%.*s=%s", STR_ARGS(name), buf_string(&value));
        }
        assert_string_equal(buf_string(&text), table[i].wanted);
        buf_free(&text);
        buf_free(&value);
    }
}

static const struct {
    const char *line;
    bool usable;
} mechanisms[] = {
    {"MECH\tPLAIN\tplaintext", true},
    {"MECH\tSCRAM-SHA-256", true},
    {"MECH\tDIGEST-MD5\tprivate", false},
    {"MECH\tX\tplaintext\tprivate", false},
    {"MECH\tSCRAM-SHA-256-PLUS", false},
    {"MECH\tplain", false},
    {"MECH\tA B", false},
    {"MECH\tABCDEFGHIJKLMNOPQRSTUV", false},
};

static void test_mechanisms(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(mechanisms); i++) {
        struct failure failure;
        struct dovecot_line line;
        assert_true(dovecot_line_parse(str_from(mechanisms[i].line), &line, &failure));
        assert_int_equal(dovecot_mechanism_is_usable(&line), mechanisms[i].usable);
    }
}

/* What was written is read again, whatever it is. */
static void test_both_ways(void **state) {
    char all[256];
    struct buf line = buf_make(0), value = buf_make(0);
    struct dovecot_line parsed;
    struct failure failure;
    struct str name;
    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    buf_append(&line, STR("OK\t1"));
    dovecot_parameter_append(&line, "user", str_make(all, sizeof all));
    dovecot_parameter_append(&line, "rip", STR("::1"));
    assert_int_equal(str_find(buf_str(&line), '\n'), STR_NONE);
    assert_true(dovecot_line_parse(buf_str(&line), &parsed, &failure));
    assert_true(dovecot_parameter_next(&parsed.parameters, &name, &value));
    assert_true(str_equal(buf_str(&value), str_make(all, sizeof all)));
    assert_true(dovecot_parameter_next(&parsed.parameters, &name, &value));
    assert_true(str_equal(name, STR("rip")) && str_equal(buf_str(&value), STR("::1")));
    assert_false(dovecot_parameter_next(&parsed.parameters, &name, &value));
    buf_free(&line);
    buf_free(&value);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_mechanisms),
                                       cmocka_unit_test(test_both_ways)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
