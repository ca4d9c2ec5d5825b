/* Unit table of lib/mail/mutf7. */
#include "expect.h"
#include "mutf7.h"

static void test_both(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"INBOX", "INBOX"},
        {"a&-b", "a&b"},
        {"&-", "&"},
        {"&-&-", "&&"},
        {"Entw&APw-rfe", "Entw\303\274rfe"},
        {"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
         "~peter/mail/\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236"},
        {"&2D3eAA-", "\360\237\230\200"},
        {"&AOQ-&-&AOQ-", "\303\244&\303\244"},
        {"&AOQA5ADk-", "\303\244\303\244\303\244"},
        {"*%\"\\", "*%\"\\"},
        {"&,,8-", "\357\277\277"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        assert_true(mutf7_decode(&out, str_from(rows[i][0])));
        expect_str(buf_str(&out), rows[i][1], rows[i][0]);
        buf_clear(&out);
        assert_true(mutf7_encode(&out, str_from(rows[i][1])));
        expect_str(buf_str(&out), rows[i][0], rows[i][1]);
        buf_free(&out);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const char *const encoded[] = {
        "&",          /* open */
        "&AOQ",       /* open */
        "&AOR-",      /* bits at the end */
        "&AOQA-",     /* a sextet too many */
        "&AOQ-&AOQ-", /* two shifts in one */
        "&AGE-",      /* 'a' stands for itself */
        "&ACY-",      /* '&' is "&-" */
        "&AAA-",      /* NUL */
        "&AAk-",      /* tab */
        "&IIg-x&IIk", /* open */
        "&2D0-",      /* a surrogate alone */
        "&3gA-",      /* the second alone */
        "&2D3YPQ-",   /* two first ones */
        "&2D0AYQ-",   /* no second one */
        "&AO/-",      /* '/' of plain base64 */
        "&A OQ-",     "\303\244", "a\tb", "\177", "&A-",
    };
    struct buf out = {0};
    buf_append(&out, STR("x"));
    for (size_t i = 0; i < ARRAY_LENGTH(encoded); i++) {
        expect_int(mutf7_decode(&out, str_from(encoded[i])), false, encoded[i]);
        expect_str(buf_str(&out), "x", encoded[i]);
    }
    static const char *const names[] = {"a\nb", "\377", "\303", "\355\240\200", "\302\205", "\342\200\250"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        expect_int(mutf7_encode(&out, str_from(names[i])), false, names[i]);
        expect_str(buf_str(&out), "x", names[i]);
    }
    assert_false(mutf7_encode(&out, STR("a\0")));
    assert_false(mutf7_decode(&out, STR("a\0")));
    buf_free(&out);
    struct buf small = buf_make(5);
    assert_false(mutf7_encode(&small, STR("a\303\244\303\244")));
    assert_int_equal(small.length, 0);
    assert_false(mutf7_decode(&small, STR("abcdef")));
    assert_false(mutf7_decode(&small, STR("abcd&AOQ-")));
    assert_int_equal(small.length, 0);
    assert_true(mutf7_decode(&small, STR("abc&AOQ-")));
    buf_free(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
