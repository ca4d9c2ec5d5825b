/* Queue IDs go up and never repeat, over restarts and a clock that goes back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "hash.h"
#include "queue_id.h"

static int make_folder(char *name) {
    assert_non_null(mkdtemp(name));
    int folder = open(name, O_RDONLY | O_DIRECTORY);
    assert_true(folder >= 0);
    return folder;
}

static void remove_folder(int folder, const char *name) {
    unlinkat(folder, "id-ceiling", 0);
    close(folder);
    rmdir(name);
}

static void check_form(bool long_form) {
    char name[] = "/tmp/tern-id-XXXXXX", id[QUEUE_ID_SIZE];
    int folder = make_folder(name);
    struct map *seen = map_create();
    for (unsigned restart = 0; restart < 3; restart++) {
        struct queue_id_source source;
        assert_true(queue_id_open(&source, folder, long_form, NULL));
        for (unsigned i = 0; i < 5000; i++) {
            assert_true(queue_id_next(&source, id, NULL));
            assert_true(queue_id_is_valid(str_from(id)));
            assert_null(map_put(seen, str_from(id), seen));
        }
    }
    assert_int_equal(strlen(id), long_form ? 15 : 11);
    assert_int_equal(long_form ? id[10] : 'z', 'z');
    map_destroy(&seen);
    remove_folder(folder, name);
}

static void test_long(void **state) {
    (void)state;
    check_form(true);
}
static void test_short(void **state) {
    (void)state;
    check_form(false);
}

/* Two processes of cleanup give out IDs at once, over the ends of their ranges. */
static void check_two(bool long_form) {
    char name[] = "/tmp/tern-id-XXXXXX", id[QUEUE_ID_SIZE];
    int folder = make_folder(name), other = openat(folder, ".", O_RDONLY | O_DIRECTORY);
    struct map *seen = map_create();
    struct queue_id_source sources[2];
    assert_true(queue_id_open(&sources[0], folder, long_form, NULL) &&
                queue_id_open(&sources[1], other, long_form, NULL));
    for (unsigned i = 0; i < 4000; i++) {
        struct queue_id_source *source = &sources[i & 1];
        if (i % 500 < 2) source->last = source->ceiling - 100; /* an hour has gone by */
        assert_true(queue_id_next(source, id, NULL));
        assert_null(map_put(seen, str_from(id), seen));
    }
    map_destroy(&seen);
    close(other);
    remove_folder(folder, name);
}

static void test_two(void **state) {
    (void)state;
    check_two(true);
    check_two(false);
}

static void test_clock_set_back(void **state) {
    (void)state;
    char name[] = "/tmp/tern-id-XXXXXX", id[QUEUE_ID_SIZE];
    int folder = make_folder(name);
    /* A reservation from the year 2096: as if the clock had been there and came back. */
    int file = openat(folder, "id-ceiling", O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(file, "4000000000000000\n", 17), 17);
    close(file);
    struct queue_id_source source;
    assert_true(queue_id_open(&source, folder, true, NULL));
    assert_true(queue_id_next(&source, id, NULL));
    assert_true(source.last > 4000000000000000);
    /* Nonsense in the file is replaced. */
    file = openat(folder, "id-ceiling", O_WRONLY | O_TRUNC);
    assert_int_equal(write(file, "zzz", 3), 3);
    close(file);
    assert_true(queue_id_open(&source, folder, true, NULL));
    assert_true(queue_id_next(&source, id, NULL));
    remove_folder(folder, name);
}

static void test_validity(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {{"ABCDEF", true},
                {"0123456789z0123", true},
                {"ABCDE", false},
                {"../../etc/x", false},
                {"ABC.DEF", false},
                {"", false},
                {"012345678901234567890", false},
                {"ABCDEF*", false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_int_equal(queue_id_is_valid(str_from(rows[i].text)), rows[i].valid);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_long), cmocka_unit_test(test_short),
                                       cmocka_unit_test(test_two), cmocka_unit_test(test_clock_set_back),
                                       cmocka_unit_test(test_validity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
