/* Unit table of the content: prefix, quoting, the From line, the loop check. */
#include "setup.h"

static void test_loops(void **state) {
    (void)state;
    static const struct {
        const char *message;
        enum content_loop found;
    } rows[] = {
        {"Subject: x\n\nDelivered-To: alice@example.test\n", LOOP_NONE},
        {"Delivered-To: alice@example.test\n\n", LOOP_DELIVERED},
        {"delivered-to:\tALICE@Example.test \nSubject: x\n\nbody\n", LOOP_DELIVERED},
        {"Received: x\n y\nDelivered-To:\n alice@example.test\n\nbody\n", LOOP_DELIVERED},
        {"Delivered-To: alice@example.testing\n\n", LOOP_NONE},
        {"Delivered-To: bob@example.test\nDelivered-To: alice@example.test\n\n", LOOP_DELIVERED},
        {"", LOOP_NONE},
        {"Received: 1\nX: y\nreceived:\n 2\n\nReceived: in the body\n", LOOP_NONE},
        {"Received: 1\nReceived: 2\nRECEIVED: 3\n\n", LOOP_HOPS},
        {"Received: 1\nReceived: 2\nReceived: 3\nDelivered-To: alice@example.test\n\n", LOOP_DELIVERED},
        {"\nDelivered-To: alice@example.test\n", LOOP_NONE},
        {"no header\nDelivered-To: alice@example.test\n", LOOP_NONE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        setup_message(rows[i].message);
        assert_int_equal(content_look_for_loop(setup.file, HEADER, setup.work.content_length, setup.work.recipient, 2),
                         rows[i].found);
    }
}

/* Headers have quotes where the envelope has none (RFC 5321 section 4.1.2). */
static void test_quoted_names(void **state) {
    (void)state;
    struct content content = {.work = &setup.work};
    setup.work.sender = STR("a b@example.org");
    setup.work.recipient = setup.work.original = STR("x \"y@example.test");
    content_make_prefix(&content, &setup.config);
    assert_string_equal(buf_string(&content.prefix), "Return-Path: <\"a b\"@example.org>\n"
                                                     "X-Original-To: \"x \\\"y\"@example.test\n"
                                                     "Delivered-To: \"x \\\"y\"@example.test\n");
    setup_content(content.prefix.data, content.prefix.length);
    assert_int_equal(content_look_for_loop(setup.file, HEADER, content.prefix.length, setup.work.recipient, 2),
                     LOOP_DELIVERED);
    buf_free(&content.prefix);
}

/* A header longer than the first piece that is read. */
static void test_loop_far_down(void **state) {
    (void)state;
    struct buf message = buf_make(0);
    for (unsigned i = 0; i < 3000; i++)
        buf_printf(&message, "X-Filler: number %u\n", i);
    buf_append(&message, STR("Delivered-To: alice@example.test\n\nbody\n"));
    setup_content(message.data, message.length);
    assert_int_equal(content_look_for_loop(setup.file, HEADER, message.length, setup.work.recipient, 2),
                     LOOP_DELIVERED);
    /* A file that is shorter than said is a fault, not "no loop". */
    assert_int_equal(content_look_for_loop(setup.file, HEADER, message.length + 1000000, STR("x@y"), 2),
                     LOOP_UNREADABLE);
    buf_free(&message);
}

static void test_prefix(void **state) {
    (void)state;
    struct content content = {.work = &setup.work};
    content_make_prefix(&content, &setup.config);
    assert_string_equal(
        buf_string(&content.prefix),
        "Return-Path: <bob@example.org>\nX-Original-To: alice@example.test\nDelivered-To: alice@example.test\n");
    buf_clear(&content.prefix);
    setup.work.original = STR("al@example.test");
    setup.work.sender = STR("a\nb\0c");
    setup.config.enable_original_recipient = false;
    setup.config.prepend_delivered_header = STR("command");
    setup.work.step = STEP_MAILBOX;
    content_make_prefix(&content, &setup.config);
    assert_string_equal(buf_string(&content.prefix), "Return-Path: <a?b?c>\n");
    buf_free(&content.prefix);
}

static void test_from_line(void **state) {
    (void)state;
    struct buf line = buf_make(0);
    setenv("TZ", "UTC0", 1);
    tzset();
    content_append_from_line(&line, STR("bob@example.org"), INT64_C(1700000000) * CLOCK_SECOND);
    assert_string_equal(buf_string(&line), "From bob@example.org  Tue Nov 14 22:13:20 2023\n");
    buf_clear(&line);
    content_append_from_line(&line, STR(""), 0);
    assert_string_equal(buf_string(&line), "From MAILER-DAEMON  Thu Jan  1 00:00:00 1970\n");
    buf_clear(&line);
    content_append_from_line(&line, STR("a b\nFrom c"), 0);
    assert_memory_equal(buf_string(&line), "From a-b-From-c  Thu", 20);
    buf_free(&line);
}

static void test_quoting(void **state) {
    (void)state;
    static const struct {
        const char *message, *quoted;
    } rows[] = {
        {"a\n", "a\n\n"},
        {"a", "a\n\n"},
        {"", "\n"},
        {"From x\n", ">From x\n\n"},
        {"From x\nFrom y\n", ">From x\n>From y\n\n"},
        {">From x\n>>From y\n", ">>From x\n>>>From y\n\n"},
        {"a From x\n> From\nFromage\nFrom\n", "a From x\n> From\nFromage\nFrom\n\n"},
        {"Fr\nFrom ", "Fr\n>From \n\n"},
        {">>>", ">>>\n\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct content content = {.work = &setup.work};
        setup_message(rows[i].message);
        content.file = setup.file;
        int to = openat(setup.directory, "out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(content_write_quoted(&content, to), CONTENT_WRITTEN);
        close(to);
        assert_string_equal(setup_read("out"), rows[i].quoted);
    }
}

/* "From " across the border of two pieces, and a long run of '>'. */
static void test_quoting_pieces(void **state) {
    (void)state;
    struct content content = {.work = &setup.work};
    struct buf message = buf_make(0);
    while (message.length < 65536 - 3)
        buf_append_char(&message, message.length % 60 == 59 ? '\n' : 'x');
    buf_truncate(&message, 65536 - 4);
    buf_append(&message, STR("\nFrom y\n"));
    for (unsigned i = 0; i < 70000; i++)
        buf_append_char(&message, '>');
    setup_content(message.data, message.length);
    content.file = setup.file;
    int to = openat(setup.directory, "out", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(content_write_quoted(&content, to), CONTENT_WRITTEN);
    assert_int_equal(lseek(to, 0, SEEK_END), message.length + 1 + 2);
    char found[8];
    assert_int_equal(pread(to, found, 7, 65536 - 4), 7);
    assert_memory_equal(found, "\n>From ", 7);
    close(to);
    buf_free(&message);
}

/* Lines of '>' alone, as long as a piece: no work that grows with the square of a line. */
static void test_quoting_time(void **state) {
    (void)state;
    struct content content = {.work = &setup.work};
    struct buf message = buf_make(0);
    while (message.length < (size_t)1 << 20)
        buf_append_char(&message, message.length % 65000 == 64999 ? '\n' : '>');
    setup_content(message.data, message.length);
    content.file = setup.file;
    int to = openat(setup.directory, "out", O_RDWR | O_CREAT | O_TRUNC, 0600);
    clock_t begun = clock();
    assert_int_equal(content_write_quoted(&content, to), CONTENT_WRITTEN);
    assert_true(clock() - begun < 4 * CLOCKS_PER_SEC);
    assert_int_equal(lseek(to, 0, SEEK_END), message.length + 2);
    close(to);
    buf_free(&message);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(test_loops),     TEST(test_loop_far_down), TEST(test_quoted_names),   TEST(test_prefix),
        TEST(test_from_line), TEST(test_quoting),       TEST(test_quoting_pieces), TEST(test_quoting_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
