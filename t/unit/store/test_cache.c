/* The cache: what was put comes back until it is forgotten, another boot begins, or it is full; it is never needed. */
#include "setup.h"

#include "cache.h"

static const uint8_t box[16] = "one folder's id", other_box[16] = "another's id";

static void put(uint32_t uid, enum cache_kind kind, const char *text) {
    cache_put(setup.store, box, uid, kind, str_from(text));
}

static void assert_cached(uint32_t uid, enum cache_kind kind, const char *text) {
    struct str value;
    bool found = cache_get(setup.store, box, uid, kind, &value);
    if (text) {
        assert_true(found);
        assert_text(value, text);
    } else {
        assert_false(found);
    }
    cache_end(setup.store);
}

static void test_put_get(void **state) {
    (void)state;
    struct str value;
    assert_cached(1, CACHE_HEADER, NULL);
    put(1, CACHE_HEADER, "header");
    put(1, CACHE_PREVIEW, "");
    put(UINT32_MAX, CACHE_STRUCTURE, "structure");
    assert_cached(1, CACHE_HEADER, NULL); /* not before it is written */
    cache_flush(setup.store);
    assert_cached(1, CACHE_HEADER, "header");
    assert_cached(1, CACHE_PREVIEW, "");
    assert_cached(1, CACHE_STRUCTURE, NULL);
    assert_cached(UINT32_MAX, CACHE_STRUCTURE, "structure");
    assert_false(cache_get(setup.store, other_box, 1, CACHE_HEADER, &value));
    put(1, CACHE_HEADER, "another");
    cache_flush(setup.store);
    cache_flush(setup.store);
    assert_cached(1, CACHE_HEADER, "another");
    reopen_store();
    assert_cached(1, CACHE_HEADER, "another");
    cache_forget(setup.store, box, 1);
    cache_forget(setup.store, box, 7);
    assert_cached(1, CACHE_HEADER, NULL);
    assert_cached(1, CACHE_PREVIEW, NULL);
    assert_cached(UINT32_MAX, CACHE_STRUCTURE, "structure");
}

static void test_blocks(void **state) {
    (void)state;
    struct str value;
    uint32_t number = 0;
    cache_put_block(setup.store, box, CACHE_ROWS, 3, STR("three"));
    cache_put_block(setup.store, box, CACHE_ROWS, 70000, STR("many"));
    cache_put_block(setup.store, box, CACHE_RANKS, 1, STR("rank"));
    cache_put_block(setup.store, other_box, CACHE_ROWS, 5, STR("five"));
    put(3, CACHE_HEADER, "header");
    cache_flush(setup.store);
    uint64_t reading = cache_reading(setup.store);
    assert_true(cache_get_block(setup.store, box, CACHE_ROWS, 3, &value));
    assert_text(value, "three");
    assert_false(cache_get_block(setup.store, box, CACHE_ROWS, 1, &value));
    assert_false(cache_get_block(setup.store, box, CACHE_RANKS, 3, &value));
    assert_true(cache_next_block(setup.store, box, CACHE_ROWS, &number, &value));
    assert_int_equal(number++, 3);
    assert_true(cache_next_block(setup.store, box, CACHE_ROWS, &number, &value));
    assert_int_equal(number++, 70000);
    assert_text(value, "many");
    assert_false(cache_next_block(setup.store, box, CACHE_ROWS, &number, &value));
    assert_int_equal(cache_reading(setup.store), reading);
    cache_put_block(setup.store, box, CACHE_ROWS, 3, STR_EMPTY);
    cache_put_block(setup.store, box, CACHE_ROWS, 4, STR_EMPTY);
    cache_flush(setup.store);
    assert_true(cache_reading(setup.store) != reading);
    assert_false(cache_get_block(setup.store, box, CACHE_ROWS, 3, &value));
    cache_end(setup.store);
    assert_cached(3, CACHE_HEADER, "header");
}

static void test_heavy(void **state) {
    (void)state;
    struct str value;
    static char large[(1 << 20) + 1];
    assert_false(cache_is_heavy(setup.store));
    for (uint32_t uid = 1; uid <= 5; uid++)
        cache_put(setup.store, box, uid, CACHE_HEADER, str_make(large, 1 << 20));
    cache_put(setup.store, box, 6, CACHE_HEADER, str_make(large, sizeof large)); /* too large: no harm */
    assert_true(cache_is_heavy(setup.store));
    cache_flush(setup.store);
    assert_false(cache_is_heavy(setup.store));
    assert_true(cache_get(setup.store, box, 5, CACHE_HEADER, &value));
    assert_int_equal(value.length, 1 << 20);
    assert_false(cache_get(setup.store, box, 6, CACHE_HEADER, &value));
}

/* Two processes' worth: what one writes the other reads. */
static void test_two(void **state) {
    (void)state;
    struct str value;
    struct store *second = store_open(&setup.options, &setup.failure);
    put(1, CACHE_HEADER, "first");
    cache_flush(setup.store);
    /* LMDB does not allow one process to open a file twice; a child is another process. */
    store_close(&second);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        store_close(&setup.store);
        setup.store = store_open(&setup.options, &setup.failure);
        bool good =
            setup.store && cache_get(setup.store, box, 1, CACHE_HEADER, &value) && str_equal(value, STR("first"));
        cache_put(setup.store, box, 2, CACHE_HEADER, STR("second"));
        cache_flush(setup.store);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_cached(2, CACHE_HEADER, "second");
}

static void test_other_boot(void **state) {
    (void)state;
    put(1, CACHE_HEADER, "x");
    cache_flush(setup.store);
    setup.options.boot = STR("another boot");
    reopen_store();
    assert_cached(1, CACHE_HEADER, NULL);
    put(1, CACHE_HEADER, "y");
    cache_flush(setup.store);
    reopen_store();
    assert_cached(1, CACHE_HEADER, "y");
    setup.options.boot = STR_EMPTY; /* not known: none is kept */
    reopen_store();
    put(1, CACHE_HEADER, "z");
    cache_flush(setup.store);
    assert_cached(1, CACHE_HEADER, NULL);
    cache_forget(setup.store, box, 1);
    setup.options.cache = STR_EMPTY;
    setup.options.boot = STR("another boot");
    reopen_store();
    put(1, CACHE_HEADER, "z");
    cache_flush(setup.store);
    assert_cached(1, CACHE_HEADER, NULL);
}

/* Full: it begins anew, and what comes then is kept again. */
static void test_limit(void **state) {
    (void)state;
    static char text[4000];
    setup.options.cache_limit = 1 << 20;
    reopen_store();
    memset(text, 't', sizeof text);
    for (uint32_t uid = 1; uid <= 1000; uid++) {
        cache_put(setup.store, box, uid, CACHE_HEADER, str_make(text, sizeof text));
        if (uid % 10 == 0) cache_flush(setup.store);
    }
    uint32_t kept = 0;
    struct str value;
    for (uint32_t uid = 1; uid <= 1000; uid++)
        kept += cache_get(setup.store, box, uid, CACHE_HEADER, &value);
    cache_end(setup.store);
    assert_true(kept > 0 && kept < 300);
    put(1001, CACHE_HEADER, "new");
    cache_flush(setup.store);
    put(1002, CACHE_HEADER, "newer");
    cache_flush(setup.store);
    assert_cached(1002, CACHE_HEADER, "newer");
}

/* What is no cache is thrown away, and one is made; what cannot be made does not matter. */
static void test_damaged(void **state) {
    (void)state;
    static char noise[20000];
    memset(noise, 'n', sizeof noise);
    put(1, CACHE_HEADER, "x");
    cache_flush(setup.store);
    store_close(&setup.store);
    setup_write_file("cache/data.mdb", str_make(noise, sizeof noise));
    reopen_store();
    assert_cached(1, CACHE_HEADER, NULL);
    put(1, CACHE_HEADER, "y");
    cache_flush(setup.store);
    assert_cached(1, CACHE_HEADER, "y");
    store_close(&setup.store);
    setup_write_file("cache/data.mdb", STR("short"));
    reopen_store();
    put(1, CACHE_HEADER, "z");
    cache_flush(setup.store);
    assert_cached(1, CACHE_HEADER, "z");
    store_close(&setup.store);
    setup_write_file("no-directory", STR(""));
    snprintf(setup.cache, sizeof setup.cache, "%s/no-directory", setup.top);
    setup.options.cache = str_from(setup.cache);
    reopen_store();
    put(1, CACHE_HEADER, "x");
    cache_flush(setup.store);
    assert_cached(1, CACHE_HEADER, NULL);
    save_some(INBOX, 1);
    assert_string_equal(fresh_view(INBOX), "1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_put_get),    FOLDER_TEST(test_heavy), FOLDER_TEST(test_two), FOLDER_TEST(test_blocks),
        FOLDER_TEST(test_other_boot), FOLDER_TEST(test_limit), FOLDER_TEST(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
