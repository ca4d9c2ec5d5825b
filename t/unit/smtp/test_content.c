/* content: a table, and all pieces of random content against a slow reference. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "content.h"
#include "content_reference.h"

static const struct {
    size_t limit;
    const char *in, *out;
} cases[] = {
    {998, "", ".\r\n"},
    {998, "a\n", "a\r\n.\r\n"},
    {998, "a", "a\r\n.\r\n"},
    {998, "\n", "\r\n.\r\n"},
    {998, ".\n", "..\r\n.\r\n"},
    {998, ".", "..\r\n.\r\n"},
    {998, "..\n.a\na.\n", "...\r\n..a\r\na.\r\n.\r\n"},
    {998, "a\r\nb", "a\r\nb\r\n.\r\n"},
    {998, "a\rb\n", "a b\r\n.\r\n"},
    {998, "a\r\r\nb\n", "a \r\nb\r\n.\r\n"},
    {998, "\r\n.\r\n", "\r\n..\r\n.\r\n"},
    {998, "\r.\r\n", " .\r\n.\r\n"},
    {998, "a\r", "a\r\n.\r\n"},
    {998, "\r", "\r\n.\r\n"},
    {4, "abcd\n", "abcd\r\n.\r\n"},
    {4, "abcde\n", "abcd\r\n e\r\n.\r\n"},
    {4, "abcdefgh\n", "abcd\r\n efg\r\n h\r\n.\r\n"},
    {4, "abcd.\n", "abcd\r\n .\r\n.\r\n"},
    {4, ".abcd\n", "..abc\r\n d\r\n.\r\n"},
    {1, "abc\n", "ab\r\n c\r\n.\r\n"},
    {0, "abcdefgh\n", "abcdefgh\r\n.\r\n"},
};

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct content_writer writer = {.line_limit = cases[i].limit};
        struct buf out = buf_make(0);
        content_convert(&writer, str_from(cases[i].in), &out);
        content_finish(&writer, &out);
        assert_string_equal(buf_string(&out), cases[i].out);
        buf_free(&out);
    }
}

static uint64_t random_state = 88172645463325252ULL;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Content of few different octets, in pieces cut anywhere. */
static void test_reference(void **state) {
    (void)state;
    static const char octets[] = "\n\n\r..ab \0\xff";
    static const size_t limits[] = {0, 1, 2, 3, 7, 998};
    for (unsigned round = 0; round < 20000; round++) {
        char text[200];
        size_t length = next_random() % sizeof text, done = 0;
        struct content_writer writer = {.line_limit = limits[next_random() % ARRAY_LENGTH(limits)]};
        struct buf out = buf_make(0), wanted = buf_make(0);
        for (size_t i = 0; i < length; i++)
            text[i] = octets[next_random() % (sizeof octets - 1)];
        content_reference(str_make(text, length), writer.line_limit, &wanted);
        while (done < length) {
            size_t piece = 1 + next_random() % (length - done);
            content_convert(&writer, str_make(text + done, piece), &out);
            done += piece;
        }
        content_finish(&writer, &out);
        assert_true(str_equal(buf_str(&out), buf_str(&wanted)));
        assert_true(content_is_clean(buf_str(&out), writer.line_limit));
        buf_free(&out);
        buf_free(&wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
