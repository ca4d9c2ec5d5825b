/* Unit table of commands: exit statuses, input, environment, time limit. */
#include "setup.h"

static void test_statuses(void **state) {
    (void)state;
    static const struct {
        int wait_status;
        const char *output;
        unsigned action;
        const char *status, *text;
    } rows[] = {
        {0, "", DELIVERY_DELIVERED, "2.0.0", "delivered to command: cmd -x"},
        {0, "5.7.1 no", DELIVERY_DELIVERED, "2.0.0", "delivered to command: cmd -x"},
        {64 << 8, "", DELIVERY_FAILED, "5.3.0", "command line usage error"},
        {65 << 8, "bad", DELIVERY_FAILED, "5.6.0", "data format error. Command output: bad"},
        {66 << 8, "", DELIVERY_FAILED, "5.3.0", "cannot open input"},
        {67 << 8, "", DELIVERY_FAILED, "5.1.1", "user unknown"},
        {68 << 8, "", DELIVERY_FAILED, "5.1.2", "host name unknown"},
        {69 << 8, "", DELIVERY_FAILED, "5.3.0", "service unavailable"},
        {70 << 8, "", DELIVERY_FAILED, "5.3.0", "internal software error"},
        {71 << 8, "", DELIVERY_FAILED, "5.3.0", "system resource problem"},
        {72 << 8, "", DELIVERY_FAILED, "5.3.0", "critical OS file missing"},
        {73 << 8, "", DELIVERY_FAILED, "5.2.0", "can't create user output file"},
        {74 << 8, "", DELIVERY_FAILED, "5.3.0", "input/output error"},
        {75 << 8, "", DELIVERY_DEFERRED, "4.3.0", "temporary failure"},
        {75 << 8, "4.2.1 later\nmore", DELIVERY_DEFERRED, "4.2.1", "temporary failure. Command output: later more"},
        {77 << 8, "5.7.1 go away", DELIVERY_FAILED, "5.7.1", "permission denied. Command output: go away"},
        {77 << 8, "5.7. go", DELIVERY_FAILED, "5.7.0", "permission denied. Command output: 5.7. go"},
        {78 << 8, "", DELIVERY_FAILED, "5.3.5", "local configuration error"},
        {1 << 8, "oops\a\n", DELIVERY_FAILED, "5.3.0", "Command died with status 1: \"cmd -x\". Command output: oops?"},
        {1 << 8, "4.2.1\nlater", DELIVERY_DEFERRED, "4.2.1",
         "Command died with status 1: \"cmd -x\". Command output: later"},
        {1 << 8, "5.7.1", DELIVERY_FAILED, "5.7.1", "Command died with status 1: \"cmd -x\""},
        {127 << 8, "", DELIVERY_FAILED, "5.3.0", "Command died with status 127: \"cmd -x\""},
        {9, "5.7.1 no", DELIVERY_DEFERRED, "4.3.0", "Command died with signal 9: \"cmd -x\". Command output: 5.7.1 no"},
        {9, "", DELIVERY_DEFERRED, "4.3.0", "Command died with signal 9: \"cmd -x\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct worked worked = {0};
        command_judge(STR("cmd -x"), rows[i].wait_status, str_from(rows[i].output), &worked);
        assert_int_equal(worked.action, rows[i].action);
        assert_string_equal(worked.status, rows[i].status);
        assert_string_equal(worked.text, rows[i].text);
    }
}

/* TOP in the command is the test's directory. */
static bool run(const char *template) {
    struct buf command = buf_make(0);
    struct str text = str_from(template);
    size_t top = str_find_str(text, STR("TOP"));
    buf_append(&command, str_slice(text, 0, top == STR_NONE ? text.length : top));
    if (top != STR_NONE) {
        buf_append(&command, str_from(setup.top));
        buf_append(&command, str_from_offset(text, top + 3));
    }
    setup.work.target = buf_str(&command);
    bool delivered = command_deliver(&setup.config, &setup.work, setup.file, &setup.worked);
    buf_free(&command);
    return delivered;
}

static void test_input(void **state) {
    (void)state;
    setup_message("Subject: x\n\nFrom me\n");
    assert_true(run("cat > TOP/out"));
    assert_memory_equal(setup_read("out"), "From bob@example.org  ", 22);
    assert_non_null(strstr(setup_read("out"), "\nReturn-Path: <bob@example.org>\nX-Original-To: alice@example.test\n"
                                              "Delivered-To: alice@example.test\nSubject: x\n\nFrom me\n"));
    assert_true(run("/bin/cp /dev/stdin TOP/plain")); /* without a shell */
    assert_non_null(strstr(setup_read("plain"), "Subject: x"));
    /* More than a pipe holds, to one that reads nothing, and one that talks much. */
    struct buf big = buf_make(0);
    for (unsigned i = 0; i < 100000; i++)
        buf_append(&big, STR("0123456789\n"));
    setup_content(big.data, big.length);
    assert_true(run("exit 0"));
    assert_true(run("cat; cat /dev/null"));
    assert_true(run("wc -c > TOP/size"));
    assert_true(strtol(setup_read("size"), NULL, 10) > 1100000);
    buf_free(&big);
}

static void test_environment(void **state) {
    (void)state;
    setup_message("x\n");
    setup.work.user = STR("alice");
    setup.work.home = STR("/home/alice");
    setup.work.local = STR("alice+a;b");
    setup.work.extension = STR("a;b");
    setup.work.recipient = STR("team@example.test");
    setup.config.export_environment = STR("TZ, COLOUR=red");
    setenv("TZ", "UTC0", 1);
    setenv("SECRET", "1", 1);
    assert_true(run("env > TOP/out"));
    static const char *const wanted[] = {"USER=alice\n",
                                         "LOGNAME=alice\n",
                                         "HOME=/home/alice\n",
                                         "EXTENSION=a_b\n",
                                         "TZ=UTC0\n",
                                         "COLOUR=red\n",
                                         "SENDER=bob@example.org\n",
                                         "\nRECIPIENT=alice_a_b@example.test\n",
                                         "ORIGINAL_RECIPIENT=team@example.test\n",
                                         "\nLOCAL=alice_a_b\n",
                                         "DOMAIN=example.test\n",
                                         "PATH="};
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++)
        assert_non_null(strstr(setup_read("out"), wanted[i]));
    assert_null(strstr(setup_read("out"), "SECRET"));
}

static void test_failures(void **state) {
    (void)state;
    setup_message("x\n");
    assert_false(run("echo 5.1.6 gone; exit 67"));
    assert_string_equal(setup.worked.status, "5.1.6");
    assert_string_equal(setup.worked.text, "user unknown. Command output: gone");
    assert_false(run("/nonexistent/program"));
    assert_deferred("4.3.0");
    assert_false(run("kill -9 $$"));
    assert_deferred("4.3.0");
    setup.work.content_length += 10;
    assert_false(run("cat > /dev/null"));
    assert_deferred("4.3.0");
}

static void test_time_limit(void **state) {
    (void)state;
    setup_message("x\n");
    setup.config.command_time_limit = 1;
    deadline begun = clock_monotonic();
    assert_false(run("echo $$ > TOP/pid; sleep 60; echo"));
    assert_true(clock_monotonic() - begun < 5000);
    assert_deferred("4.3.0");
    assert_memory_equal(setup.worked.text, "Command time limit exceeded: \"", 30);
    /* The whole group is gone, the sleep too. */
    pid_t group = (pid_t)strtol(setup_read("pid"), NULL, 10);
    assert_true(group > 1);
    for (unsigned i = 0; i < 50 && kill(-group, 0) == 0; i++)
        usleep(20000);
    struct buf path = buf_make(0);
    buf_printf(&path, "/proc/%d/stat", (int)group);
    assert_int_not_equal(access(buf_string(&path), F_OK), 0);
    buf_free(&path);
}

/* A command that ends while a child of its own keeps the output open. */
static void test_background(void **state) {
    (void)state;
    setup_message("x\n");
    deadline begun = clock_monotonic();
    assert_true(run("sleep 3 & exit 0"));
    assert_true(clock_monotonic() - begun < 2500);
}

int main(void) {
    static const struct CMUnitTest tests[] = {TEST(test_statuses), TEST(test_input),      TEST(test_environment),
                                              TEST(test_failures), TEST(test_time_limit), TEST(test_background)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
