/* Unit tests of the log line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "log.h"

static int pipe_ends[2];

static int set_up(void **state) {
    (void)state;
    if (pipe2(pipe_ends, O_NONBLOCK) != 0) return -1;
    log_open(pipe_ends[1], "test");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    log_open(-1, "test");
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return 0;
}

static char got[70000];

/* Takes the date, each line's third word, out: it is another every time. */
static void remove_dates(void) {
    for (char *line = got; *line;) {
        char *word = line;
        for (int blanks = 0; blanks < 2 && *word; word++) blanks += *word == ' ';
        size_t digits = strspn(word, "0123456789");
        if (digits >= 16 && word[digits] == ' ') memmove(word, word + digits + 1, strlen(word + digits + 1) + 1);
        line = strchr(line, '\n');
        if (!line) break;
        line++;
    }
}

static size_t read_all(void) {
    ssize_t length = read(pipe_ends[0], got, sizeof(got) - 1);

    if (length < 0) length = 0;
    got[length] = '\0';
    remove_dates();
    return (size_t)length;
}

static void expect(int severity, const char *text) {
    char wanted[LOG_LINE_MAXIMUM];

    read_all();
    snprintf(wanted, sizeof(wanted), "%d %ld %s\n", severity, (long)getpid(), text);
    assert_string_equal(got, wanted);
}

static void test_forms(void **state) {
    (void)state;
    errno = 77;
    log_info("connect from %s", "here");
    assert_int_equal(errno, 77);
    expect(6, "connect from here");
    log_warning("%d", 5);
    expect(4, "warning: 5");
    log_error("no");
    expect(3, "error: no");
    log_fatal_text("gone");
    expect(2, "fatal: gone");
    log_message(STR("4bXyz"), "from=<%s>", "a@b");
    expect(6, "4bXyz: from=<a@b>");
    log_message_warning(STR("4bXyz"), "odd");
    expect(4, "warning: 4bXyz: odd");
}

static void test_cleaning(void **state) {
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"a\nb", "a?b"},
        {"a\r\n3 1 fatal: forged", "a??3 1 fatal: forged"},
        {"\t\x1b[31m\x7f", "??[31m?"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"csi \xc2\x9b", "csi ??"},
        {"raw \x9b", "raw ?"},
        {"raw \xff \xc3\xbc", "raw ? ??"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        log_info("%s", rows[i].in);
        expect(6, rows[i].out);
    }
}

static void test_length(void **state) {
    static char text[5000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    log_info("%s", text);
    assert_int_equal(read_all(), LOG_LINE_MAXIMUM);
    assert_string_equal(got + LOG_LINE_MAXIMUM - 5, "x...\n");
    log_message(str_make(text, 3000), "%s", text);
    assert_int_equal(read_all(), LOG_LINE_MAXIMUM);
    assert_int_equal(got[LOG_LINE_MAXIMUM - 1], '\n');
}

static void test_dropping(void **state) {
    unsigned before, sent = 0;
    char wanted[200];

    (void)state;
    while (log_dropped() == 0) {
        log_info("line %u", sent);
        assert_true(++sent < 100000);
    }
    log_info("another");
    before = log_dropped();
    assert_int_equal(before, 2);
    while (read_all() > 0) continue;
    log_info("again");
    read_all();
    snprintf(wanted, sizeof(wanted), "4 %ld warning: 2 log lines were dropped before this one\n6 %ld again\n", (long)getpid(),
             (long)getpid());
    assert_string_equal(got, wanted);
    assert_int_equal(log_dropped(), 0);
}

static void test_standard_error(void **state) {
    int saved = dup(STDERR_FILENO);

    (void)state;
    dup2(pipe_ends[1], STDERR_FILENO);
    log_open(-1, "tern/ctl");
    log_warning("%s", "odd");
    dup2(saved, STDERR_FILENO);
    close(saved);
    read_all();
    assert_string_equal(got, "tern/ctl: warning: odd\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cleaning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dropping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_standard_error, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
