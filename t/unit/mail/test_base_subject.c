/* Unit table of lib/mail/base_subject. */
#include "expect.h"
#include "base_subject.h"

static void test_base(void **state) {
    (void)state;
    static const struct {
        const char *field, *base;
        bool reply;
    } rows[] = {
        {"", "", false},
        {" hello", "hello", false},
        {"Re: hello", "hello", true},
        {"RE:hello", "hello", true},
        {"re : FW: Fwd:hello", "hello", true},
        {"Re[2]: hello", "hello", true},
        {"Re [list] : hello", "hello", true},
        {"[list] Re: hello", "hello", true},
        {"[list] [x]Re: [y] hello", "hello", true},
        {"[list] hello", "hello", false},
        {"[a][b] [c]", "[c]", false},
        {"Re: [a]", "[a]", true},
        {"[list", "[list", false},
        {"[a[b] c", "[a[b] c", false},
        {"hello (fwd)", "hello", true},
        {"hello (FWD) (fwd) ", "hello", true},
        {"(fwd)", "", true},
        {"[Fwd: hello]", "hello", true},
        {"[fwd: Re: hello (fwd)]", "hello", true},
        {"[fwd: [fwd: hello]]", "hello", true},
        {"Re: [fwd: [x] hello] (fwd)", "hello", true},
        {"[fwd: a] b", "b", false},
        {"[fwd:]", "", true},
        {"Re:", "", true},
        {"Re: Re:", "", true},
        {"Reply: x", "Reply: x", false},
        {"Re x", "Re x", false},
        {"AW: x", "AW: x", false},
        {"a\t\tb   c\r\n  d", "a b c d", false},
        {"=?utf-8?q?Re=3A_J=C3=B6rg?=", "J\303\266rg", true},
        {"Re: =?utf-8?q?[x]?= =?utf-8?q?_hello?=", "hello", true},
        {"hello [x]", "hello [x]", false},
        {"Re: hello Re: x", "hello Re: x", true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = {0};
        buf_append(&out, STR("x"));
        expect_int(base_subject_append(&out, str_from(rows[i].field)), rows[i].reply, rows[i].field);
        expect_str(str_from_offset(buf_str(&out), 1), rows[i].base, rows[i].field);
        buf_free(&out);
    }
}

static void test_linear(void **state) {
    (void)state;
    struct buf field = {0}, out = {0};
    for (size_t i = 0; i < 200000; i++)
        buf_append(&field, STR("[a]"));
    assert_false(base_subject_append(&out, buf_str(&field)));
    expect_str(buf_str(&out), "[a]", "blobs");
    buf_clear(&field);
    buf_clear(&out);
    for (size_t i = 0; i < 100000; i++)
        buf_append(&field, STR("[fwd:"));
    for (size_t i = 0; i < 100000; i++)
        buf_append(&field, STR("]"));
    assert_true(base_subject_append(&out, buf_str(&field)));
    expect_str(buf_str(&out), "", "forwards");
    buf_free(&field);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_base), cmocka_unit_test(test_linear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
