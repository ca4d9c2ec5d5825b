/* Unit table of mailbox files: appending, locks, refusals, cutting back. */
#include <sys/file.h>
#include <sys/wait.h>

#include "setup.h"

static bool deliver_limited(const char *path, int64_t limit) {
    setup.worked = (struct worked){0};
    return mbox_deliver(&setup.config, &setup.work, setup.file, setup.directory, str_from(path),
                        setup.config.mailbox_delivery_lock, limit, "delivered to mailbox", &setup.worked);
}

static bool deliver(const char *path) {
    return deliver_limited(path, 0);
}

static void test_append(void **state) {
    (void)state;
    setup_message("Subject: x\n\nFrom me\n");
    assert_true(deliver("box"));
    assert_string_equal(setup.worked.text, "delivered to mailbox");
    assert_memory_equal(setup_read("box"), "From bob@example.org  ", 22);
    assert_non_null(strstr(setup_read("box"), "\nDelivered-To: alice@example.test\nSubject: x\n\n>From me\n\n"));
    size_t once = strlen(setup_read("box"));
    assert_true(deliver("box"));
    assert_int_equal(strlen(setup_read("box")), once * 2);
    assert_int_equal(entries(".", NULL), 2); /* the box and the queue file: no lock is left */
}

/* What is there begins a line of its own, whatever the last program left. */
static void test_unended(void **state) {
    (void)state;
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"", ""},         {"\n", "\n"},       {"x", "x\n\n"},
        {"x\n", "x\n\n"}, {"x\n\n", "x\n\n"}, {"From x\n\nab\nc", "From x\n\nab\nc\n\n"},
    };
    setup_message("x\n");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        setup_write("box", rows[i].before, 0600);
        assert_true(deliver("box"));
        const char *found = setup_read("box");
        size_t length = strlen(rows[i].after);
        assert_memory_equal(found, rows[i].after, length);
        assert_memory_equal(found + length, "From bob@example.org  ", 22);
    }
}

static void test_refusals(void **state) {
    (void)state;
    setup_message("x\n");
    setup_write("two", "old\n", 0600);
    assert_int_equal(linkat(setup.directory, "two", setup.directory, "names", 0), 0);
    assert_false(deliver("two"));
    assert_deferred("4.2.0");
    assert_string_equal(setup_read("two"), "old\n");
    setup_write("real", "old\n", 0600);
    assert_int_equal(symlinkat("real", setup.directory, "link"), 0);
    assert_false(deliver("link"));
    assert_deferred(NULL);
    assert_string_equal(setup_read("real"), "old\n");
    mkdirat(setup.directory, "folder", 0700);
    assert_false(deliver("folder"));
    assert_deferred(NULL);
    assert_int_equal(mkfifoat(setup.directory, "pipe", 0600), 0);
    assert_false(deliver("pipe"));
    assert_deferred("4.2.0");
    setup.work.step = STEP_FILE;
    assert_false(deliver("missing/box"));
    assert_deferred(NULL);
    setup.work.step = STEP_VIRTUAL;
    assert_true(deliver("missing/too/box"));
    assert_non_null(setup_read("missing/too/box"));
    if (geteuid() == 0) {
        setup_write("other", "old\n", 0600);
        assert_int_equal(fchownat(setup.directory, "other", 1, 1, 0), 0);
        assert_false(deliver("other"));
        assert_deferred("4.2.0");
        assert_string_equal(setup_read("other"), "old\n");
    }
}

static void test_locks(void **state) {
    (void)state;
    setup_message("x\n");
    setup_write("box", "old\n", 0600);
    setup_write("box.lock", "", 0600);
    assert_false(deliver("box"));
    assert_deferred("4.2.0");
    assert_string_equal(setup_read("box"), "old\n");
    assert_non_null(setup_read("box.lock"));
    /* Left over by a program that is gone. */
    struct timespec long_ago[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    assert_int_equal(utimensat(setup.directory, "box.lock", long_ago, 0), 0);
    setup.config.deliver_lock_attempts = 2;
    assert_true(deliver("box"));
    assert_null(setup_read("box.lock"));
    setup.config.deliver_lock_attempts = 1;
    /* Locked by another process with fcntl. */
    int ready[2], done[2];
    assert_int_equal(pipe(ready) | pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        int box = openat(setup.directory, "box", O_RDWR);
        struct flock whole = {.l_type = F_WRLCK};
        char c = fcntl(box, F_SETLK, &whole) == 0 ? 'y' : 'n';
        if (write(ready[1], &c, 1) != 1) _exit(1);
        close(done[1]);
        _exit(read(done[0], &c, 1) == 0 ? 0 : 1);
    }
    close(done[0]);
    char c = 0;
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    assert_false(deliver("box"));
    assert_deferred("4.2.0");
    assert_null(setup_read("box.lock"));
    close(done[1]);
    waitpid(child, NULL, 0);
    assert_true(deliver("box"));
    close(ready[0]);
    close(ready[1]);
}

/* What cannot be written whole is not there at all. */
static void test_cut_back(void **state) {
    (void)state;
    struct buf big = buf_make(0);
    for (unsigned i = 0; i < 20000; i++)
        buf_append(&big, STR("0123456789\n"));
    setup_content(big.data, big.length);
    setup_write("box", "old\n", 0600);
    limit_file_size(100000);
    bool delivered = deliver("box");
    limit_file_size(RLIM_INFINITY);
    assert_false(delivered);
    assert_deferred("4.2.2");
    assert_string_equal(setup_read("box"), "old\n");
    setup.work.content_length += 10000000; /* the queue file ends too early */
    assert_false(deliver("box"));
    assert_deferred("4.3.0");
    assert_string_equal(setup_read("box"), "old\n");
    setup.work.content_length -= 10000000;
    assert_false(deliver_limited("box", 1000));
    assert_int_equal(setup.worked.action, DELIVERY_FAILED);
    assert_string_equal(setup.worked.status, "5.2.2");
    assert_string_equal(setup_read("box"), "old\n");
    buf_free(&big);
}

int main(void) {
    static const struct CMUnitTest tests[] = {TEST(test_append), TEST(test_unended), TEST(test_refusals),
                                              TEST(test_locks), TEST(test_cut_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
