/* master.cf: rows, arguments, messages; and its form when printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_edit.h"
#include "master_cf.h"
#include "memory.h"

static const char good[] = "# services\n"
                           "smtp      inet  n       -       n       -       -       smtpd -v\n"
                           "  # a comment within\n"
                           "  -o smtpd_banner=hi  -osyslog_name=x\n"
                           "\n"
                           "\t-o { relayhost =  [a]:25  [b] }\n"
                           "qmgr unix n - - 300? 1 qmgr\n"
                           "smtp unix - - y - 0 smtp {one two} three\n"
                           "[::1]:submission inet y n - 7 20 smtpd\n";

static void test_rows(void **state) {
    (void)state;
    struct master_cf *services = NULL;
    struct failure failure = {0};
    if (!master_cf_parse(str_from(good), "master.cf", &services, &failure))
        fail_msg("%s", failure.text);
    assert_int_equal(services->count, 4);

    const struct master_cf_row *row = &services->rows[0];
    assert_string_equal(row->name.data, "smtp");
    assert_int_equal(row->type, MASTER_CF_INET);
    assert_false(row->is_private);
    assert_true(row->is_unprivileged);
    assert_false(row->is_chroot);
    assert_int_equal(row->wakeup, 0);
    assert_int_equal(row->process_limit, -1);
    assert_string_equal(row->command.data, "smtpd");
    assert_int_equal(row->line, 2);
    assert_int_equal(row->argument_count, 1);
    assert_string_equal(row->arguments[0].data, "-v");
    assert_int_equal(row->override_count, 3);
    assert_string_equal(row->overrides[1].name.data, "syslog_name");
    assert_string_equal(row->overrides[2].name.data, "relayhost");
    assert_string_equal(row->overrides[2].value.data, "[a]:25 [b]");
    assert_string_equal(row->fields[MASTER_CF_FIELD_COMMAND].data,
                        "smtpd -v -o smtpd_banner=hi -o syslog_name=x -o {relayhost=[a]:25 [b]}");

    row = &services->rows[1];
    assert_false(row->is_private);
    assert_int_equal(row->wakeup, 300);
    assert_true(row->wakeup_only_if_used);
    assert_int_equal(row->process_limit, 1);
    assert_int_equal(row->line, 7);

    row = &services->rows[2];
    assert_true(row->is_private);
    assert_true(row->is_chroot);
    assert_int_equal(row->process_limit, 0);
    assert_int_equal(row->argument_count, 2);
    assert_string_equal(row->arguments[0].data, "one two");

    row = &services->rows[3];
    assert_false(row->is_private);
    assert_false(row->is_unprivileged);
    assert_int_equal(row->wakeup, 7);
    assert_false(row->wakeup_only_if_used);
    master_cf_free(&services);
    assert_null(services);
}

struct bad_row {
    const char *text;
    const char *wrong;
};

static const struct bad_row bad_rows[] = {
    {"smtp inet n - n\n", "master.cf, line 1: 5 columns where eight belong"},
    {"#\n\nsmtp tcp n - n - - smtpd\n", "line 3: \"tcp\" is no type"},
    {"smtp inet x - n - - smtpd\n", "\"x\" in the column private; y, n or - stands there"},
    {"smtp inet n x n - - smtpd\n", "in the column unprivileged"},
    {"smtp inet n - yes - - smtpd\n", "in the column chroot"},
    {"smtp inet n - n 1m - smtpd\n", "\"1m\" in the column wakeup"},
    {"smtp inet n - n - many smtpd\n", "\"many\" in the column process_limit"},
    {"smtp inet n - n - -1 smtpd\n", "in the column process_limit"},
    {"smtp inet n - n - - smtpd -o\n", "nothing after -o"},
    {"smtp inet n - n - - smtpd -o banner\n", "after -o: \"banner\" has no ="},
    {"smtp inet n - n - - smtpd -o {a = b\n", "the { is not closed"},
    {"smtp inet n - n - - smtpd\nsmtp inet n - n - - smtpd\n", "line 2: the service smtp/inet stands already in line 1"},
    {"../smtp unix n - n - - smtpd\n", "is no service name"},
    {".. unix n - n - - smtpd\n", "is no service name"},
    {" smtp inet n - n - - smtpd\n", "continues nothing"},
};

static void test_bad_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad_rows); i++) {
        struct master_cf *services = NULL;
        struct failure failure = {0};
        assert_false(master_cf_parse(str_from(bad_rows[i].text), "master.cf", &services, &failure));
        assert_null(services);
        if (!strstr(failure.text, bad_rows[i].wrong))
            fail_msg("\"%s\" said \"%s\"", bad_rows[i].text, failure.text);
    }
}

struct format_row {
    const char *text;
    const char *plain;
    const char *folded;
};

static const struct format_row format_rows[] = {
    {"smtp inet n - n - - smtpd -v -o a=b -o {c = d e}",
     "smtp       inet  n       -       n       -       -       smtpd -v -o a=b -o {c=d e}",
     "smtp       inet  n       -       n       -       -       smtpd -v\n    -o a=b\n    -o {c=d e}"},
    {"pickup unix n - y 60 1 pickup", "pickup     unix  n       -       y       60      1       pickup",
     "pickup     unix  n       -       y       60      1       pickup"},
    {"x unix - n n - - pipe -o a=b flags=F argv=/bin/cat {one two}",
     "x          unix  -       n       n       -       -       pipe -o a=b flags=F argv=/bin/cat {one two}",
     "x          unix  -       n       n       -       -       pipe\n    -o a=b\n    flags=F argv=/bin/cat {one two}"},
};

static void test_format(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(format_rows); i++) {
        struct arena *arena = arena_create(0);
        struct master_cf_row row;
        struct failure failure = {0};
        struct buf plain = buf_make(0), folded = buf_make(0);
        if (!master_cf_parse_row(str_from(format_rows[i].text), arena, &row, &failure))
            fail_msg("%s", failure.text);
        master_cf_format(&row, false, &plain);
        master_cf_format(&row, true, &folded);
        assert_string_equal(buf_string(&plain), format_rows[i].plain);
        assert_string_equal(buf_string(&folded), format_rows[i].folded);
        buf_free(&plain);
        buf_free(&folded);
        arena_destroy(&arena);
    }
}

/* count times the same text after the beginning of a row; # is the number of the time. */
static bool parses(const char *beginning, const char *text, size_t count, struct failure *failure) {
    struct str before = str_from(text), after = STR_EMPTY;
    bool numbered = str_cut(str_from(text), '#', &before, &after);
    struct master_cf *services = NULL;
    struct buf row = buf_make(0);
    buf_append(&row, str_from(beginning));
    for (size_t i = 0; i < count; i++) {
        buf_append(&row, before);
        if (numbered) buf_append_u64(&row, i);
        buf_append(&row, after);
    }
    bool done = master_cf_parse(buf_str(&row), "master.cf", &services, failure);
    master_cf_free(&services);
    buf_free(&row);
    return done;
}

static void test_limits(void **state) {
    static const char row[] = "x unix n - n - - x";
    struct failure failure = {0};
    (void)state;
    assert_true(parses(row, " -o a=b", MASTER_CF_ARGUMENTS_MAX, &failure));
    assert_false(parses(row, " -o a=b", MASTER_CF_ARGUMENTS_MAX + 1, &failure));
    assert_non_null(strstr(failure.text, "overrides"));
    assert_false(parses(row, " a", MASTER_CF_ARGUMENTS_MAX + 1, &failure));
    assert_non_null(strstr(failure.text, "arguments"));
    assert_true(parses("", "x# unix n - n - - x\n", MASTER_CF_ROWS_MAX, &failure));
    assert_false(parses("", "x# unix n - n - - x\n", MASTER_CF_ROWS_MAX + 1, &failure));
    assert_non_null(strstr(failure.text, "services"));
}

static void test_field_names(void **state) {
    (void)state;
    assert_true(str_equal(master_cf_field_name(MASTER_CF_FIELD_PRIVATE), STR("private")));
}

/* From a directory: the first fault, or all of them and the rows between. */
static void test_load(void **state) {
    static const char text[] = "a unix n - n - - a\nb tcp n - n - - b\nc unix n - n - - c\nd unix\n";
    char directory[] = "/tmp/tern-master-XXXXXX";
    struct master_cf *services = NULL;
    struct failure failure = {0};
    struct buf path = buf_make(0), errors = buf_make(0), long_name = buf_make(0);
    (void)state;
    assert_non_null(mkdtemp(directory));
    buf_printf(&path, "%s/master.cf", directory);
    assert_false(master_cf_load(directory, &services, &failure));
    int file = open(buf_string(&path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
    assert_false(master_cf_load(directory, &services, &failure));
    assert_non_null(strstr(failure.text, "line 2"));
    assert_false(master_cf_load_all(directory, &services, &errors));
    assert_non_null(strstr(buf_string(&errors), "line 2"));
    assert_non_null(strstr(buf_string(&errors), "line 4"));
    assert_int_equal(services->count, 2);
    master_cf_free(&services);
    unlink(buf_string(&path));
    rmdir(directory);
    for (size_t i = 0; i < 5000; i++) buf_append_char(&long_name, 'x');
    assert_false(master_cf_load_all(buf_string(&long_name), &services, &errors));
    assert_null(services);
    buf_free(&path);
    buf_free(&errors);
    buf_free(&long_name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_field_names),
        cmocka_unit_test(test_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
