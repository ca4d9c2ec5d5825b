/* Tests of buf: growing, limits, the overflow flag, and arguments that point into the buf itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include "buf.h"
#include "memory.h"

static void holds(const struct buf *buf, const char *text) {
    assert_true(str_equal(buf_str(buf), str_from(text)));
    assert_string_equal(buf_string(buf), text);
}

static void appends(void **state) {
    (void)state;
    struct buf buf = {0};
    holds(&buf, "");
    assert_true(buf_append(&buf, STR("ab")) && buf_append_char(&buf, 'c') && buf_append_u64(&buf, 0));
    assert_true(buf_append_u64(&buf, UINT64_MAX) && buf_append(&buf, (struct str){NULL, 0}));
    holds(&buf, "abc018446744073709551615");
    assert_true(buf_printf(&buf, "%s-%d", "x", 7));
    holds(&buf, "abc018446744073709551615x-7");
    buf_truncate(&buf, 99);
    buf_truncate(&buf, 2);
    holds(&buf, "ab");
    buf_clear(&buf);
    holds(&buf, "");
    assert_true(buf_append(&buf, STR("a\0b")) && buf.length == 3);
    buf_free(&buf);
    holds(&buf, "");
}

static void grows(void **state) {
    (void)state;
    struct buf buf = buf_make(0);
    for (size_t i = 0; i < 100000; i++)
        assert_true(buf_append_char(&buf, (char)('a' + i % 26)));
    assert_true(buf.length == 100000 && buf.data[100000] == '\0');
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(buf.data[i], 'a' + i % 26);
    buf_free(&buf);
}

static void keeps_limit(void **state) {
    (void)state;
    for (size_t limit = 1; limit < 200; limit++) {
        struct buf buf = buf_make(limit);
        size_t count = 0;
        while (buf_append_char(&buf, 'x'))
            count++;
        assert_true(count == limit && buf.length == limit && buf_overflowed(&buf) && buf.capacity <= limit + 1);
        buf_truncate(&buf, 0);
        assert_true(buf_overflowed(&buf)); /* only buf_clear forgets */
        buf_clear(&buf);
        assert_false(buf_overflowed(&buf));
        buf_free(&buf);
        assert_true(buf.limit == limit && buf.data == NULL);
    }
}

static void refuses_whole(void **state) {
    (void)state;
    struct buf buf = buf_make(5);
    char long_text[600];
    memset(long_text, 'y', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_true(buf_append(&buf, STR("abc")));
    assert_false(buf_append(&buf, STR("def")));
    holds(&buf, "abc");
    assert_false(buf_append_bytes(&buf, "", SIZE_MAX));
    assert_false(buf_append_u64(&buf, 123));
    assert_false(buf_printf(&buf, "%d", 123));
    assert_false(buf_printf(&buf, "%s", long_text));
    assert_false(buf_insert(&buf, 0, STR("123")));
    assert_null(buf_reserve(&buf, 3));
    holds(&buf, "abc");
    assert_true(buf_overflowed(&buf));
    assert_true(buf_append(&buf, STR("de")));
    holds(&buf, "abcde");
    buf_free(&buf);
    assert_true(!buf_overflowed(&buf) && buf_append(&buf, STR("12345")) && !buf_append_char(&buf, '6'));
    buf_free(&buf);
}

static void prints_long(void **state) {
    (void)state;
    char text[1000];
    memset(text, 'z', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int length = 250; length < 262; length++) { /* around the size of the small memory */
        struct buf buf = buf_make(0);
        assert_true(buf_printf(&buf, "%.*s|", length, text));
        assert_true(buf.length == (size_t)length + 1 && buf.data[length] == '|');
        buf_free(&buf);
    }
    struct buf exact = buf_make(999);
    assert_true(buf_printf(&exact, "%s", text) && exact.length == 999);
    assert_false(buf_printf(&exact, "x"));
    buf_free(&exact);
}

static void inserts_and_removes(void **state) {
    (void)state;
    struct buf buf = buf_make(0);
    assert_true(buf_insert(&buf, 9, STR("world")) && buf_insert(&buf, 0, STR("hello ")));
    assert_true(buf_insert(&buf, 99, STR("!")) && buf_insert(&buf, 5, STR(",")) && buf_insert(&buf, 3, STR_EMPTY));
    holds(&buf, "hello, world!");
    buf_remove(&buf, 5, 2);
    holds(&buf, "helloworld!");
    buf_remove(&buf, 5, SIZE_MAX);
    holds(&buf, "hello");
    buf_remove(&buf, 5, 1);
    buf_remove(&buf, 99, 1);
    buf_remove(&buf, 0, 0);
    holds(&buf, "hello");
    buf_remove(&buf, 0, 5);
    holds(&buf, "");
    buf_free(&buf);
    buf_remove(&buf, 0, 1);
    buf_truncate(&buf, 0);
}

static void takes_itself(void **state) {
    (void)state;
    struct buf buf = buf_make(0);
    assert_true(buf_append(&buf, STR("abcdefgh")));
    for (int i = 0; i < 6; i++)
        assert_true(buf_append(&buf, buf_str(&buf)));
    assert_true(buf.length == 512 && str_ends(buf_str(&buf), STR("habcdefgh")));
    buf_truncate(&buf, 4);
    assert_true(buf_insert(&buf, 2, buf_str(&buf)));
    holds(&buf, "ababcdcd");
    assert_true(buf_printf(&buf, "-%s", buf_string(&buf)));
    holds(&buf, "ababcdcd-ababcdcd");
    buf_free(&buf);
}

static void reserves(void **state) {
    (void)state;
    struct buf buf = buf_make(10);
    char *room = buf_reserve(&buf, 10);
    assert_non_null(room);
    holds(&buf, "");
    memcpy(room, "xxxxxxxxxx", 10);
    buf_commit(&buf, 0); /* takes the room back */
    holds(&buf, "");
    memcpy(room, "0123456789", 10);
    buf_commit(&buf, 4);
    holds(&buf, "0123");
    assert_null(buf_reserve(&buf, 7));
    assert_non_null(buf_reserve(&buf, 6));
    buf_commit(&buf, 0);
    holds(&buf, "0123");
    buf_free_secret(&buf);
    holds(&buf, "");
    buf_commit(&buf, 0);
    buf_free_secret(&buf);
}

static void appends_numbers(void **state) {
    (void)state;
    struct buf buf = {0};
    char wanted[32];
    for (uint64_t power = 1, more = 1; more > 0; power *= 10, more = power <= UINT64_MAX / 10) {
        const uint64_t numbers[] = {power - 1, power, power + 1, power * 7 + 3, UINT64_MAX / power};
        for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
            snprintf(wanted, sizeof wanted, "%" PRIu64, numbers[i]);
            buf_clear(&buf);
            assert_true(buf_append_u64(&buf, numbers[i]));
            holds(&buf, wanted);
        }
    }
    buf_free(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),       cmocka_unit_test(grows),       cmocka_unit_test(keeps_limit),
        cmocka_unit_test(refuses_whole), cmocka_unit_test(prints_long), cmocka_unit_test(inserts_and_removes),
        cmocka_unit_test(takes_itself),  cmocka_unit_test(reserves),          cmocka_unit_test(appends_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
