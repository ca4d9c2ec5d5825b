/* A line from a service's pipe, and the line of the log it becomes; nothing in it may end the line, steer a terminal
 * or pretend to be another record. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "log_line.h"

static void test_parse(void **state) {
    (void)state;
    static const struct {
        const char *line;
        unsigned severity;
        uint64_t process;
        int64_t date;
        const char *text;
    } rows[] = {{"6 123 1700000000000000 hello", 6, 123, 1700000000000000, "hello"},
                {"4 1 0 warning: x", 4, 1, 0, "warning: x"},
                {"0 4194304 5 ", 0, 4194304, 5, ""},
                {"7 1 1  two spaces", 7, 1, 1, " two spaces"},
                /* not such lines: all text, a warning */
                {"", 4, 0, 0, ""},
                {"hello", 4, 0, 0, "hello"},
                {"8 1 1 x", 4, 0, 0, "8 1 1 x"},
                {"6", 4, 0, 0, "6"},
                {"6 ", 4, 0, 0, "6 "},
                {"66 1 1 x", 4, 0, 0, "66 1 1 x"},
                {" 6 1 1 x", 4, 0, 0, " 6 1 1 x"},
                {"6 x 1 t", 4, 0, 0, "6 x 1 t"},
                {"6 4194305 1 t", 4, 0, 0, "6 4194305 1 t"},
                {"6 1 -1 t", 4, 0, 0, "6 1 -1 t"},
                {"6 1 1", 4, 0, 0, "6 1 1"},
                {"6 1 99999999999999999999 t", 4, 0, 0, "6 1 99999999999999999999 t"},
                {"-6 1 1 t", 4, 0, 0, "-6 1 1 t"},
                {"6 1  t", 4, 0, 0, "6 1  t"},
                {"qmgr: symbol lookup error", 4, 0, 0, "qmgr: symbol lookup error"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct record record = record_parse(str_from(rows[i].line));
        if (record.severity != rows[i].severity || record.process != rows[i].process || record.date != rows[i].date ||
            !str_equal(record.text, str_from(rows[i].text)))
            fail_msg("row %zu: %u %llu %lld \"%.*s\"", i, record.severity, (unsigned long long)record.process,
                     (long long)record.date, STR_ARGS(record.text));
    }
}

static void test_format(void **state) {
    (void)state;
    static const struct {
        enum record_form form;
        const char *line, *wanted;
    } rows[] = {
        {RECORD_FORM_TEXT, "6 12 1 hello", "Jan  1 00:00:05 host postfix/qmgr[12]: hello\n"},
        {RECORD_FORM_TEXT, "6 12 1 a\nb\tc\x1b[31m\x7f", "Jan  1 00:00:05 host postfix/qmgr[12]: a?b?c?[31m?\n"},
        {RECORD_FORM_TEXT, "6 12 1 gr\xc3\xbc\xc3\x9f", "Jan  1 00:00:05 host postfix/qmgr[12]: gr\xc3\xbc\xc3\x9f\n"},
        {RECORD_FORM_TEXT, "6 12 1 bad \xfc", "Jan  1 00:00:05 host postfix/qmgr[12]: bad ?\n"},
        {RECORD_FORM_TEXT,
         "6 12 1 c1 \xc2\x9b"
         "31m \xc2\xa0.",
         "Jan  1 00:00:05 host postfix/qmgr[12]: c1 ??31m \xc2\xa0.\n"},
        {RECORD_FORM_TEXT, "6 12 1 \xe0\xa2\x9b \xc3\x9b \xf0\x90\x82\x9b",
         "Jan  1 00:00:05 host postfix/qmgr[12]: \xe0\xa2\x9b \xc3\x9b \xf0\x90\x82\x9b\n"},
        {RECORD_FORM_TEXT, "dying words", "Jan  1 00:00:05 host postfix/qmgr[0]: dying words\n"},
        {RECORD_FORM_SYSLOG, "4 12 1 warning: x", "<20>Jan  1 00:00:05 postfix/qmgr[12]: warning: x"},
        {RECORD_FORM_SYSLOG_JSON, "2 12 1 fatal: x\n",
         "<18>Jan  1 00:00:05 postfix/qmgr[12]: {\"time\":\"1970-01-01T00:00:05+0000\",\"host\":\"host\","
         "\"service\":\"postfix/qmgr\",\"pid\":12,\"severity\":\"fatal\",\"text\":\"x?\"}"},
        {RECORD_FORM_JSON, "6 12 1 say \"x\" \\ \n",
         "{\"time\":\"1970-01-01T00:00:05+0000\",\"host\":\"host\",\"service\":\"postfix/qmgr\",\"pid\":12,"
         "\"severity\":\"info\",\"text\":\"say \\\"x\\\" \\\\ ?\"}\n"},
        {RECORD_FORM_JSON, "4 12 1 warning: \xc2\x85\xff",
         "{\"time\":\"1970-01-01T00:00:05+0000\",\"host\":\"host\",\"service\":\"postfix/qmgr\",\"pid\":12,"
         "\"severity\":\"warning\",\"text\":\"???\"}\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct record_frame frame = {.form = rows[i].form, .host = STR("host"), .facility = 2, .second = -1};
        struct record record = record_parse(str_from(rows[i].line));
        struct buf out = buf_make(0);
        record_set_time(&frame, 5000000);
        record_format(&frame, STR("postfix/qmgr"), &record, &out);
        if (!str_equal(buf_str(&out), str_from(rows[i].wanted))) fail_msg("row %zu: %s", i, buf_string(&out));
        buf_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_format)};
    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
