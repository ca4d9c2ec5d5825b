/* Unit tables of uid_set: reading and writing, and everything else beside a naive bitmap. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "memory.h"
#include "uid_set.h"

static void test_parse(void **state) {
    (void)state;
    static const struct {
        const char *text, *set; /* set NULL: refused */
        uint32_t star;
    } rows[] = {
        {"1", "1", 9},
        {"1:5,9,*", "1:5,9,12", 12},
        {"4:2", "2:4", 9},
        {"*:3", "3:7", 7},
        {"9:*", "7:9", 7},
        {"*", "", 0},
        {"1,2,3", "1:3", 9},
        {"3,1,2,2:3", "1:3", 9},
        {"4294967295", "4294967295", 9},
        {"4294967294:4294967295,1", "1,4294967294:4294967295", 9},
        {"4294967296", NULL, 9},
        {"", NULL, 9},
        {"0", NULL, 9},
        {"01", NULL, 9},
        {"1,", NULL, 9},
        {",1", NULL, 9},
        {"1:", NULL, 9},
        {":1", NULL, 9},
        {"1:2:3", NULL, 9},
        {"1 ,2", NULL, 9},
        {"-1", NULL, 9},
        {"1,,2", NULL, 9},
        {"**", NULL, 9},
        {"1,2,3,4,5", NULL, 9}, /* more than four ranges */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct uid_set set = {0};
        struct buf text = buf_make(0);
        uid_set_add(&set, 77, 78);
        bool good = uid_set_parse(str_from(rows[i].text), rows[i].star, 4, &set);
        assert_int_equal(good, rows[i].set != NULL);
        uid_set_format(&set, &text);
        assert_string_equal(buf_string(&text), rows[i].set ? rows[i].set : "77:78"); /* untouched */
        uid_set_free(&set);
        buf_free(&text);
    }
}

#define BITS 200
#define BASE (UINT32_MAX - BITS + 1) /* the upper window ends at the greatest number */

static void check(const struct uid_set *set, const bool *bits, uint32_t base) {
    uint64_t size = 0;
    for (uint32_t i = 0; i < BITS; i++) {
        size += bits[i];
        if (base + i > 0) assert_int_equal(uid_set_has(set, base + i), bits[i]);
    }
    assert_int_equal(uid_set_size(set), size);
    for (size_t i = 0; i < set->count; i++) {
        assert_true(set->ranges[i].first > 0 && set->ranges[i].first <= set->ranges[i].last);
        if (i > 0) assert_true(set->ranges[i].first > (uint64_t)set->ranges[i - 1].last + 1);
    }
    struct buf text = buf_make(0), again = buf_make(0);
    struct uid_set read = {0};
    uid_set_format(set, &text);
    assert_int_equal(uid_set_parse(buf_str(&text), 1, BITS, &read), set->count > 0);
    uid_set_format(&read, &again);
    assert_string_equal(buf_string(&text), buf_string(&again));
    uid_set_free(&read);
    buf_free(&text);
    buf_free(&again);
}

static void test_bitmap(void **state) {
    (void)state;
    srandom(1);
    for (unsigned round = 0; round < 40; round++) {
        uint32_t base = round % 2 ? BASE : 0;
        struct uid_set sets[2] = {0};
        bool bits[2][BITS] = {0};
        for (unsigned step = 0; step < 150; step++) {
            unsigned which = (unsigned)random() % 2;
            uint32_t first = (uint32_t)random() % BITS, length = (uint32_t)random() % (step % 10 ? 8 : 60);
            uint32_t last = first + length < BITS ? first + length : BITS - 1;
            bool *mine = bits[which], *other = bits[!which];
            long choice = random() % 20;
            if (choice < 10)
                uid_set_add(&sets[which], base + first, base + last);
            else if (choice < 16)
                uid_set_remove(&sets[which], base + first, base + last);
            else if (choice == 16)
                uid_set_add_set(&sets[which], &sets[!which]);
            else if (choice == 17)
                uid_set_subtract(&sets[which], &sets[!which]);
            else if (choice == 18)
                uid_set_intersect(&sets[which], &sets[!which]);
            else
                uid_set_copy(&sets[!which], &sets[which]);
            bool refused = choice < 16 && base + first == 0; /* there is no message 0 */
            for (uint32_t i = 0; i < BITS; i++) {
                if (choice < 16 && i >= first && i <= last && !refused) mine[i] = choice < 10;
                if (choice == 16) mine[i] |= other[i];
                if (choice == 17) mine[i] &= !other[i];
                if (choice == 18) mine[i] &= other[i];
                if (choice == 19) mine[i] = other[i];
            }
            check(&sets[which], mine, base);
            check(&sets[!which], other, base);
        }
        uid_set_clear(&sets[0]);
        assert_int_equal(uid_set_size(&sets[0]), 0);
        assert_false(uid_set_has(&sets[0], 1));
        uid_set_free(&sets[0]);
        uid_set_free(&sets[1]);
    }
}

static void test_extremes(void **state) {
    (void)state;
    struct uid_set set = {0}, one = {0};
    uid_set_add(&set, 1, UINT32_MAX);
    assert_int_equal(uid_set_size(&set), UINT32_MAX);
    uid_set_add(&set, 5, 4);
    uid_set_remove(&set, UINT32_MAX, UINT32_MAX);
    uid_set_remove(&set, 0, 5);
    assert_true(uid_set_has(&set, 1) && !uid_set_has(&set, UINT32_MAX) && !uid_set_has(&set, 0));
    uid_set_add(&one, UINT32_MAX, UINT32_MAX);
    uid_set_add_set(&set, &one);
    assert_int_equal(set.count, 1);
    uid_set_subtract(&set, &one);
    assert_int_equal(uid_set_size(&set), UINT32_MAX - 1);
    uid_set_subtract(&one, &one);
    assert_int_equal(one.count, 0);
    uid_set_free(&set);
    uid_set_free(&one);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_bitmap),
                                       cmocka_unit_test(test_extremes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
