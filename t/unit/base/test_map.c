/* Tests of the map: replacing, growing, keys of any bytes, removal while iterating. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "buf.h"
#include "hash.h"

enum { MANY = 5000 };
static int values[MANY];

static struct str name(struct buf *buf, size_t number) {
    buf_clear(buf);
    assert_true(buf_printf(buf, "key-%zu", number));
    return buf_str(buf);
}

static void puts_and_gets(void **state) {
    (void)state;
    struct map *map = map_create();
    assert_null(map_get(map, STR("a")));
    assert_null(map_remove(map, STR("a")));
    assert_null(map_put(map, STR("a"), &values[0]));
    assert_null(map_put(map, STR("a\0"), &values[1]));
    assert_null(map_put(map, STR("A"), &values[2]));
    assert_null(map_put(map, STR_EMPTY, &values[3]));
    assert_int_equal(map_count(map), 4);
    assert_ptr_equal(map_get(map, STR("a")), &values[0]);
    assert_ptr_equal(map_get(map, STR("a\0")), &values[1]);
    assert_ptr_equal(map_get(map, (struct str){NULL, 0}), &values[3]);
    assert_null(map_get(map, STR("b")));
    assert_ptr_equal(map_put(map, STR("a"), &values[9]), &values[0]);
    assert_ptr_equal(map_get(map, STR("a")), &values[9]);
    assert_int_equal(map_count(map), 4);
    assert_ptr_equal(map_remove(map, STR("a")), &values[9]);
    assert_null(map_remove(map, STR("a")));
    assert_int_equal(map_count(map), 3);
    map_destroy(&map);
    assert_null(map);
    map_destroy(&map);
}

static struct map *filled(struct buf *buf) {
    struct map *map = map_create();
    for (size_t i = 0; i < MANY; i++)
        assert_null(map_put(map, name(buf, i), &values[i])); /* the key's bytes are copied: buf changes */
    return map;
}

static void grows(void **state) {
    (void)state;
    struct buf buf = buf_make(0);
    struct map *map = filled(&buf);
    assert_int_equal(map_count(map), MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(map_get(map, name(&buf, i)), &values[i]);
    for (size_t i = 0; i < MANY; i += 2)
        assert_ptr_equal(map_remove(map, name(&buf, i)), &values[i]);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(map_get(map, name(&buf, i)), i % 2 ? &values[i] : NULL);
    for (size_t i = 0; i < MANY; i += 2)
        assert_null(map_put(map, name(&buf, i), &values[i]));
    assert_int_equal(map_count(map), MANY);
    map_destroy(&map);
    buf_free(&buf);
}

/* Removes every step-th entry as it comes by (0: none); each must still be seen exactly once. */
static void iterate(struct map *map, size_t step) {
    static bool seen[MANY];
    memset(seen, 0, sizeof(seen));
    size_t before = map_count(map);
    size_t count = 0;
    size_t removed = 0;
    size_t cursor = 0;
    struct str key = STR_EMPTY;
    void *value = NULL;
    while (map_next(map, &cursor, &key, &value)) {
        size_t number = (size_t)((int *)value - values);
        assert_true(number < MANY && !seen[number]);
        seen[number] = true;
        count++;
        if (step && count % step == 0) {
            assert_ptr_equal(map_remove(map, key), value);
            removed++;
        }
    }
    assert_int_equal(count, before);
    assert_int_equal(map_count(map), before - removed);
    assert_false(map_next(map, &cursor, &key, &value)); /* the end stays the end */
}

static void iterates(void **state) {
    (void)state;
    struct buf buf = buf_make(0);
    struct map *map = filled(&buf);
    static const size_t steps[] = {0, 7, 3, 2, 0, 1, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++)
        iterate(map, steps[i]);
    assert_int_equal(map_count(map), 0);
    map_destroy(&map);
    buf_free(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(puts_and_gets), cmocka_unit_test(grows),
                                       cmocka_unit_test(iterates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
