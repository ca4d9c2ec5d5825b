/* saved_uidl: rows of dovecot-uidlist with and without P fields. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "saved_uidl.h"

static const struct {
    const char *list;
    uint32_t uid;
    const char *name, *uidl; /* uidl: "": none */
} rows[] = {
    {"3 V7 N9\n1 Pold-1 :a\n", 1, "a", "old-1"},
    {"3 V7 N9 G00ff\n1 W5 S4 Pold-1 O2 :a:2,S\n", 1, "a", "old-1"},
    {"3 N9 V7\n1 Pold-1 :a", 1, "a", "old-1"},
    {"3 V7 N9\n9 Pi :i\n3 Pc :c\n5 Pe :e\n", 3, "c", "c"},
    {"3 V7 N9\n9 Pi :i\n3 Pc :c\n5 Pe :e\n", 9, "i", "i"},
    {"3 V7 N9\n1 P :1700000000.a:2,\n", 1, "1700000000.a", "1700000000.a"}, /* the file's name */
    {"3 V7 N9\n1 Pone Ptwo :a\n", 1, "a", "two"},
    {"3 V7 N9\n1  Pold :a\n", 1, "a", "old"},
    {"3 V7 N9\n1 Pold :a b: c\n", 1, "a b", "old"},
    {"3 V7 N9\n1 Pold :a\n", 2, "a", ""},
    {"3 V7 N9\n1 Pold :a\n", 1, "b", ""}, /* another message has that UID now */
    {"3 V7 N9\n1 Pold :ab\n", 1, "a", ""},
    {"3 V7 N9\n1 Pold :a\n", 1, "ab", ""},
    {"3 V8 N9\n1 Pold :a\n", 1, "a", ""}, /* another UIDVALIDITY */
    {"3 N9\n1 Pold :a\n", 1, "a", ""},
    {"1 7 9\n1 Pold :a\n", 1, "a", ""},
    {"3 V7 N9\n1 W3 :a\n2 :Pold\n", 1, "a", ""},
    {"3 V7 N9\n1 W3 :a\n2 :b Pold\n", 2, "b Pold", ""},
    {"3 V7 N9\n1 Pold\n", 1, "", ""},
    {"3 V7 N9\n1 Pold :\n", 1, "", ""},
    {"3 V7 N9\n0 Pold :a\n", 0, "a", ""},
    {"3 V7 N9\nx Pold :a\n4294967296 Pold :a\n", 1, "a", ""},
    {"3 V7 N9\n1 P\xc3\xa9 :a\n", 1, "a", ""}, /* no answer can have it */
    {"3 V7 N9\n1 Px\ty :a\n", 1, "a", ""},
    {"", 1, "a", ""},
    {" P", 1, "a", ""},
};

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct saved_uidls saved = {0};
        buf_append(&saved.text, str_from(rows[i].list));
        saved_uidls_parse(7, &saved);
        struct str found = saved_uidls_find(&saved, rows[i].uid, str_from(rows[i].name));
        if (!str_equal(found, str_from(rows[i].uidl))) fail_msg("%s: %.*s", rows[i].list, STR_ARGS(found));
        saved_uidls_free(&saved);
    }
}

static void test_many(void **state) {
    struct saved_uidls saved = {0};
    char name[40], uidl[40];
    (void)state;
    buf_append(&saved.text, STR("3 V7 N1001\n"));
    for (unsigned uid = 1000; uid > 0; uid--)
        buf_printf(&saved.text, uid % 2 ? "%u Pold-%u :name-%u\n" : "%u S%u :name-%u\n", uid, uid, uid);
    saved_uidls_parse(7, &saved);
    assert_int_equal(saved.count, 500);
    for (unsigned uid = 1; uid <= 1001; uid++) {
        snprintf(name, sizeof name, "name-%u", uid);
        snprintf(uidl, sizeof uidl, "old-%u", uid);
        struct str found = saved_uidls_find(&saved, uid, str_from(name));
        assert_true(str_equal(found, uid % 2 && uid <= 1000 ? str_from(uidl) : STR_EMPTY));
    }
    saved_uidls_free(&saved);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
