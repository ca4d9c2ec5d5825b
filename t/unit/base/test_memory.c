/* Tests of memory: zeroing, alignment, arena limits, and that the end comes when it must. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "memory.h"
#include <sys/wait.h>
#include <unistd.h>

static void allocates(void **state) {
    (void)state;
    int *numbers = memory_allocate(10, sizeof(int));
    for (int i = 0; i < 10; i++)
        assert_int_equal(numbers[i], 0);
    numbers[9] = 5;
    numbers = memory_resize(numbers, 1000, sizeof(int));
    assert_int_equal(numbers[9], 5);
    numbers = memory_resize(numbers, 0, sizeof(int));
    assert_non_null(numbers);
    MEMORY_FREE(numbers);
    assert_null(numbers);
    char *none = memory_allocate(0, 8);
    assert_non_null(none);
    MEMORY_FREE(none);
    char *copy = memory_copy_string(STR("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    MEMORY_FREE(copy);
    copy = memory_copy_string((struct str){NULL, 0});
    assert_string_equal(copy, "");
    MEMORY_FREE(copy);
}

static volatile size_t huge = SIZE_MAX / 2; /* so that the compiler does not see it coming */

static void overflow_allocate(void) {
    (void)!memory_allocate(huge, 4);
}
static void overflow_resize(void) {
    (void)!memory_resize(NULL, huge, 4);
}
static void too_much(void) {
    (void)!memory_resize(NULL, huge, 1);
}
static void overflow_arena(void) {
    (void)!arena_allocate(arena_create(0), huge, 4);
}

static void ends_the_process(void **state) {
    (void)state;
    void (*const causes[])(void) = {overflow_allocate, overflow_resize, too_much, overflow_arena};
    for (size_t i = 0; i < ARRAY_LENGTH(causes); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(STDERR_FILENO);
            causes[i]();
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
#if defined(TERN_SANITIZERS)
        assert_true(status != 0); /* abort(), or ASan's own exit */
#else
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 75);
#endif
    }
}

static void wipes_and_compares(void **state) {
    (void)state;
    char secret[] = "secret";
    assert_true(memory_equal_secret(secret, "secret", 6) && memory_equal_secret(secret, "other", 0));
    assert_false(memory_equal_secret(secret, "Secret", 6));
    assert_false(memory_equal_secret(secret, "secreT", 6));
    memory_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, "\0\0\0\0\0\0", 7);
    memory_wipe(NULL, 0);
}

/* Every piece is filled with its own byte, so that two that overlap are seen at the end. */
static void pieces_are_apart(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    struct arena *arena = arena_create(0);
    unsigned char **pieces = memory_allocate(COUNT, sizeof(*pieces));
    size_t total = 0;
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 97 == 0 ? 20000 + i : i % 131;
        pieces[i] = arena_allocate(arena, 1, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t n = 0; n < size; n++)
            assert_int_equal(pieces[i][n], 0);
        memset(pieces[i], (int)(i % 251), size);
        total += size;
        struct str copy = STR_EMPTY;
        assert_true(arena_copy(arena, STR("xyz"), &copy) && copy.data[3] == '\0'); /* spoils the alignment */
    }
    assert_true(arena_used(arena) >= total);
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 97 == 0 ? 20000 + i : i % 131;
        for (size_t n = 0; n < size; n++)
            assert_int_equal(pieces[i][n], i % 251);
    }
    MEMORY_FREE(pieces);
    arena_destroy(&arena);
    assert_null(arena);
    arena_destroy(&arena);
}

static void arena_keeps_limit(void **state) {
    (void)state;
    struct arena *arena = arena_create(100);
    struct str copy = STR("kept");
    assert_null(arena_allocate(arena, 1, 101));
    assert_null(arena_allocate(arena, huge, 4));
    assert_null(arena_allocate(arena, 1, SIZE_MAX));
    assert_int_equal(arena_used(arena), 0);
    assert_non_null(arena_allocate(arena, 1, 96));
    assert_int_equal(arena_used(arena), 96);
    assert_false(arena_copy(arena, STR("abcd"), &copy)); /* its NUL counts */
    assert_true(str_equal(copy, STR("kept")));
    assert_true(arena_copy(arena, STR("abc"), &copy) && str_equal(copy, STR("abc")));
    assert_int_equal(arena_used(arena), 100);
    assert_false(arena_copy(arena, STR_EMPTY, &copy));
    assert_null(arena_allocate(arena, 0, 0));
    arena_destroy(&arena);

    arena = arena_create(1 << 20);
    size_t count = 0;
    while (arena_allocate(arena, 1, 16))
        count++;
    assert_true(count == (1 << 20) / 16 && arena_used(arena) == 1 << 20);
    arena_destroy(&arena);
}

static void copies(void **state) {
    (void)state;
    struct arena *arena = arena_create(0);
    struct str copy = STR_EMPTY;
    char text[] = "text";
    assert_true(arena_copy(arena, str_from(text), &copy));
    text[0] = 'n';
    assert_string_equal(copy.data, "text");
    assert_true(arena_copy(arena, (struct str){NULL, 0}, &copy) && copy.length == 0 && copy.data[0] == '\0');
    int64_t *number = ARENA_NEW(arena, int64_t);
    assert_true(number && *number == 0);
    arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocates),        cmocka_unit_test(ends_the_process),  cmocka_unit_test(wipes_and_compares),
        cmocka_unit_test(pieces_are_apart), cmocka_unit_test(arena_keeps_limit), cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
