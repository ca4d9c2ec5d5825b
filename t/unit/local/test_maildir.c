/* Unit table of Maildir delivery: what stands where after each way it can go. */
#include "setup.h"

#define NAME "1700000000.M000123QQ1R2.mx.example.test"

static bool deliver(const char *path) {
    worked_free(&setup.worked);
    setup.worked = (struct worked){0};
    return maildir_deliver(&setup.config, &setup.work, setup.file, setup.directory, str_from(path), 0, &setup.worked);
}

static void test_delivery(void **state) {
    (void)state;
    struct stat status;
    setup_message("Subject: x\n\nFrom here\n");
    assert_true(deliver("example.test/alice/"));
    assert_int_equal(setup.worked.action, DELIVERY_DELIVERED);
    assert_string_equal(setup.worked.text, "delivered to maildir");
    assert_string_equal(setup.worked.status, "2.0.0");
    assert_string_equal(setup_read("example.test/alice/new/" NAME),
                        "Return-Path: <bob@example.org>\nX-Original-To: alice@example.test\n"
                        "Delivered-To: alice@example.test\nSubject: x\n\nFrom here\n");
    assert_int_equal(entries("example.test/alice/tmp", NULL), 0);
    assert_int_equal(entries("example.test/alice/cur", NULL), 0);
    assert_int_equal(fstatat(setup.directory, "example.test/alice", &status, 0), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(fstatat(setup.directory, "example.test/alice/new/" NAME, &status, 0), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_nlink, 1);
}

/* A second attempt finds the first one's file and leaves it as it is. */
static void test_again(void **state) {
    (void)state;
    setup_message("Subject: x\n\nbody\n");
    assert_true(deliver("box/"));
    setup_message("Subject: other\n\nbody\n");
    assert_true(deliver("box/"));
    assert_int_equal(entries("box/new", NULL), 1);
    assert_int_equal(entries("box/tmp", NULL), 0);
    assert_non_null(strstr(setup_read("box/new/" NAME), "Subject: x\n"));
    setup.work.perhaps_delivered = true;
    assert_true(deliver("box/"));
    assert_int_equal(entries("box/new", NULL), 1);
    setup.work.index = 3; /* another recipient */
    assert_true(deliver("box/"));
    assert_int_equal(entries("box/new", NULL), 2);
}

/* What a mail reader has taken is found when it may have been delivered. */
static void test_in_cur(void **state) {
    (void)state;
    setup_message("Subject: x\n\nbody\n");
    assert_true(deliver("box/"));
    assert_int_equal(renameat(setup.directory, "box/new/" NAME, setup.directory, "box/cur/" NAME ":2,S"), 0);
    setup.work.perhaps_delivered = true;
    assert_true(deliver("box/"));
    assert_int_equal(entries("box/new", NULL), 0);
    setup.work.queue_id = STR("Q"); /* the name of which ours is no beginning */
    assert_true(deliver("box/"));
    assert_int_equal(entries("box/new", NULL), 1);
}

/* A thing of that name that is no file is no delivered message. */
static void test_name_taken(void **state) {
    (void)state;
    setup_message("Subject: x\n\nbody\n");
    mkdirat(setup.directory, "box", 0700);
    mkdirat(setup.directory, "box/new", 0700);
    mkdirat(setup.directory, "box/new/" NAME, 0700);
    assert_false(deliver("box/"));
    assert_deferred(NULL);
    assert_int_equal(entries("box/tmp", NULL), 0);
}

static void test_links_refused(void **state) {
    (void)state;
    static const char *const paths[] = {"link/", "link/below/", "box/link/"};
    setup_message("x\n");
    mkdirat(setup.directory, "real", 0700);
    mkdirat(setup.directory, "box", 0700);
    assert_int_equal(symlinkat("real", setup.directory, "link"), 0);
    assert_int_equal(symlinkat("../real", setup.directory, "box/link"), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        assert_false(deliver(paths[i]));
        assert_deferred(NULL);
    }
    assert_int_equal(entries("real", NULL), 0);
    assert_int_equal(symlinkat("../real", setup.directory, "box/new"), 0);
    assert_false(deliver("box/"));
    assert_deferred(NULL);
    assert_int_equal(entries("real", NULL), 0);
    assert_false(deliver("../outside/"));
    assert_deferred(NULL);
}

static void test_faults(void **state) {
    (void)state;
    struct buf big = buf_make(0);
    for (unsigned i = 0; i < 100000; i++)
        buf_append(&big, STR("0123456789\n"));
    setup_content(big.data, big.length);
    limit_file_size(70000);
    bool delivered = deliver("box/");
    limit_file_size(RLIM_INFINITY);
    assert_false(delivered);
    assert_deferred("4.2.2");
    assert_int_equal(entries("box/tmp", NULL), 0);
    assert_int_equal(entries("box/new", NULL), 0);
    assert_true(deliver("box/"));
    assert_int_equal(entries("box/new", NULL), 1);
    /* The queue file is shorter than it says: never a part of a message. */
    setup.work.queue_id = STR("Q2");
    setup.work.content_length += 100;
    assert_false(deliver("box/"));
    assert_deferred("4.3.0");
    assert_int_equal(entries("box/new", NULL), 1);
    assert_int_equal(entries("box/tmp", NULL), 0);
    setup.work.content_length -= 100;
    assert_false(
        maildir_deliver(&setup.config, &setup.work, setup.file, setup.directory, STR("box/"), 1000, &setup.worked));
    assert_int_equal(setup.worked.action, DELIVERY_FAILED);
    assert_string_equal(setup.worked.status, "5.2.3");
    buf_free(&big);
}

static void test_folders_lost(void **state) {
    (void)state;
    setup_message("x\n");
    assert_true(deliver("box/"));
    assert_int_equal(unlinkat(setup.directory, "box/tmp", AT_REMOVEDIR), 0);
    setup.work.index = 9;
    assert_true(deliver("box/"));
    assert_int_equal(entries("box/new", NULL), 2);
}

static void test_name(void **state) {
    (void)state;
    struct buf name = buf_make(0);
    maildir_name(&setup.work, STR("a/b:c d,e"), &name);
    assert_string_equal(buf_string(&name), "1700000000.M000123QQ1R2.a\\057b\\072c_d_e");
    buf_free(&name);
}

int main(void) {
    static const struct CMUnitTest tests[] = {TEST(test_delivery),     TEST(test_again),         TEST(test_in_cur),
                                              TEST(test_name_taken),   TEST(test_links_refused), TEST(test_faults),
                                              TEST(test_folders_lost), TEST(test_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
