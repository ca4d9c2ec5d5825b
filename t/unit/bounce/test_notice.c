/* Where the returned header ends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bounce.h"

#define OFFSET 256

static int make_content(struct str content) {
    int file = memfd_create("content", MFD_CLOEXEC);
    assert_int_equal(pwrite(file, content.data, content.length, OFFSET), content.length);
    return file;
}

static void test_ends(void **state) {
    (void)state;
    static const struct {
        const char *content;
        uint64_t limit, end;
    } rows[] = {{"A: b\n\nbody\n", 1000, 5},
                {"A: b\nC: d\n\n", 1000, 10},
                {"\nbody\n", 1000, 0},
                {"\n", 1000, 0},
                {"", 1000, 0},
                {"A: b\n", 1000, 5},
                {"A: b", 1000, 4},
                {"A: b\n \n\n", 1000, 7},
                {"A: b\n\n\n\n", 1000, 5},
                {"A: b\nC: d\n\nbody\n", 10, 10},
                {"A: b\nC: d\n\nbody\n", 7, 7},
                {"no header at all, and no end of it\n", 9, 9}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str content = str_from(rows[i].content);
        int file = make_content(content);
        uint64_t end = 99;
        assert_true(notice_find_header_end(file, OFFSET, content.length, rows[i].limit, &end));
        if (end != rows[i].end) fail_msg("row %zu: %llu", i, (unsigned long long)end);
        close(file);
    }
}

/* The empty line may lie anywhere about the end of a read. */
static void test_over_reads(void **state) {
    (void)state;
    for (size_t length = 8180; length < 8200; length++) {
        struct buf content = buf_make(0);
        for (size_t i = 0; i + 1 < length; i++)
            buf_append_char(&content, 'x');
        buf_append(&content, STR("\n\nbody\n"));
        int file = make_content(buf_str(&content));
        uint64_t end = 0;
        assert_true(notice_find_header_end(file, OFFSET, content.length, 100000, &end));
        assert_int_equal(end, length);
        assert_false(notice_find_header_end(file, OFFSET, content.length + 30000, 100000, &end) && end != length);
        close(file);
        buf_free(&content);
    }
}

/* A file that is shorter than it was said to be is a local fault, no end. */
static void test_short_file(void **state) {
    (void)state;
    int file = make_content(STR("A: b\n"));
    uint64_t end = 7;
    assert_false(notice_find_header_end(file, OFFSET, 50, 1000, &end));
    assert_int_equal(end, 7);
    close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends), cmocka_unit_test(test_over_reads),
                                       cmocka_unit_test(test_short_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
