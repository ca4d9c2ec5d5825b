/* Unit table of imapd/message_file: the same is read of a file that is waited for and of one that is at hand. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "message_file.h"

#define FILE_SIZE_MAX ((size_t)40000)

/* A file with a header of so many octets, up to and with the empty line, and a body. */
static int make_file(size_t header, size_t body, struct buf *written) {
    char path[] = "message-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    buf_clear(written);
    while (written->length + 2 < header)
        buf_append_char(written, written->length % 60 == 59 && written->length + 3 < header ? '\n' : 'h');
    if (header > 0) buf_append(written, STR("\n\n"));
    for (size_t i = 0; i < body; i++)
        buf_append_char(written, i % 70 == 69 ? '\n' : 'b');
    assert_int_equal(write(file, written->data ? written->data : "", written->length), written->length);
    return file;
}

static void test_headers(void **state) {
    (void)state;
    static const size_t headers[] = {3, 100, 4095, 4096, 4097, 8192, 16383, 16384, 16385, 30000};
    static const size_t bodies[] = {0, 1, 3999, 9000};
    static const enum message_reading ways[] = {READ_WAITING, READ_AT_HAND};
    struct buf written = {0}, bytes = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(headers) * ARRAY_LENGTH(bodies) * ARRAY_LENGTH(ways); i++) {
        size_t length = headers[i / 8], body = bodies[i / 2 % 4];
        struct str header = STR_EMPTY;
        bool whole = false;
        int file = make_file(length, body, &written);
        bool had = message_file_read_header(file, ways[i % 2], &bytes, &header, &whole);
        if (had != (length <= 16384)) fail_msg("header of %zu, body of %zu, way %zu", length, body, i % 2);
        if (had) assert_true(str_equal(header, str_slice(buf_str(&written), 0, length)));
        if (had && whole) assert_int_equal(bytes.length, written.length);
        close(file);
    }
    buf_free(&written);
    buf_free(&bytes);
}

/* No empty line: the file's end is the header's; and of an empty file nothing is left to be read. */
static void test_no_body(void **state) {
    (void)state;
    struct buf written = {0}, bytes = {0};
    for (size_t body = 0; body < 13000; body += 1500) {
        struct str header = STR("x");
        bool whole = false;
        int file = make_file(0, body, &written);
        assert_true(message_file_read_header(file, READ_WAITING, &bytes, &header, &whole));
        assert_true(whole && str_equal(header, buf_str(&written)));
        if (message_file_read_header(file, READ_AT_HAND, &bytes, &header,
                                     &whole)) /* more than a page: cannot be told */
            assert_true(whole && str_equal(header, buf_str(&written)));
        close(file);
    }
    buf_free(&written);
    buf_free(&bytes);
}

static void test_whole(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 4095, 4096, 4097, FILE_SIZE_MAX - 1};
    struct buf written = {0}, bytes = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes) * 2; i++) {
        enum message_reading how = i % 2 ? READ_AT_HAND : READ_WAITING;
        int file = make_file(0, sizes[i / 2], &written);
        assert_true(message_file_read(file, how, sizes[i / 2], FILE_SIZE_MAX, &bytes));
        assert_true(str_equal(buf_str(&bytes), buf_str(&written)));
        /* Larger than it was said to be, smaller, empty, too large. */
        assert_false(sizes[i / 2] > 1 && message_file_read(file, how, sizes[i / 2] - 1, FILE_SIZE_MAX, &bytes));
        assert_int_equal(message_file_read(file, how, sizes[i / 2] + 1, FILE_SIZE_MAX + 2, &bytes),
                         how == READ_WAITING);
        assert_false(message_file_read(file, how, 0, FILE_SIZE_MAX, &bytes));
        assert_false(message_file_read(file, how, sizes[i / 2], sizes[i / 2], &bytes));
        close(file);
    }
    buf_free(&written);
    buf_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_headers), cmocka_unit_test(test_no_body),
                                       cmocka_unit_test(test_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
