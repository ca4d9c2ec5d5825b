/* Unit table of lib/mail/sort_order: beside a sort that compares. */
#include "expect.h"
#include "sort_order.h"

#define THINGS 3000

static uint64_t keys[THINGS];
static bool reversed;

static int compare_things(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (keys[x] != keys[y]) return (keys[x] < keys[y] ? -1 : 1) * (reversed ? -1 : 1);
    return x < y ? -1 : x > y;
}

/* Numbers that look as if by chance, the same at each run. */
static uint64_t next_number(void) {
    static uint64_t seed = 88172645463325252U;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void test_numbers(void **state) {
    (void)state;
    static const unsigned bits[] = {1, 3, 11, 12, 31, 32, 33, 40, 64};
    static const size_t counts[] = {0, 1, 2, 7, 32, 33, 500, THINGS};
    uint32_t order[THINGS], wanted[THINGS];
    for (size_t b = 0; b < ARRAY_LENGTH(bits); b++) {
        for (size_t c = 0; c < ARRAY_LENGTH(counts) * 2; c++) {
            size_t count = counts[c / 2];
            reversed = c % 2;
            for (size_t i = 0; i < count; i++)
                keys[i] = sort_order_key((int64_t)(next_number() >> (64 - bits[b])));
            sort_order_begin(order, count);
            sort_order_begin(wanted, count);
            sort_order_by_numbers(order, count, keys, reversed);
            qsort(wanted, count, sizeof wanted[0], compare_things);
            if (count > 0) assert_memory_equal(order, wanted, count * sizeof order[0]);
        }
    }
}

static void test_signs(void **state) {
    (void)state;
    static const int64_t rising[] = {INT64_MIN, -1000, -1, 0, 1, 1000, INT64_MAX};
    for (size_t i = 1; i < ARRAY_LENGTH(rising); i++)
        assert_true(sort_order_key(rising[i - 1]) < sort_order_key(rising[i]));
}

static void test_texts(void **state) {
    (void)state;
    static const char pool[] = "\0\0aab\377ab\0cdefghab\0\0\0\0\0\0\0\0\0\0";
    struct str texts[600];
    uint64_t ranks[600];
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        size_t from = next_number() % 20;
        texts[i] = str_make(pool + from, next_number() % (sizeof pool - from));
    }
    sort_order_rank_texts(texts, ARRAY_LENGTH(texts), ranks);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(texts); k++) {
            int compared = str_compare(texts[i], texts[k]);
            assert_true(compared < 0 ? ranks[i] < ranks[k] : compared > 0 ? ranks[i] > ranks[k] : ranks[i] == ranks[k]);
        }
    }
    sort_order_rank_texts(NULL, 0, ranks);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_signs),
                                       cmocka_unit_test(test_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
