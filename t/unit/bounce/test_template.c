/* bounce_template_file: reading it and expanding its texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "notice_template.h"

#define HEAD "failure_template = <<END\n"

static void test_good_files(void **state) {
    (void)state;
    static const struct {
        const char *file, *from, *subject, *body;
    } rows[] = {
        {"", "Mail Delivery System <MAILER-DAEMON>", "Undelivered Mail Returned to Sender",
         NULL}, /* NULL: the built-in one */
        {"# nothing but this\n\n  \n", "Mail Delivery System <MAILER-DAEMON>", "Undelivered Mail Returned to Sender",
         NULL},
        {HEAD "Subject: Sorry\n\nIt failed.\nEND\n", "Mail Delivery System <MAILER-DAEMON>", "Sorry", "It failed.\n"},
        {HEAD "subject:  Sorry \nFROM: a@b\n\nEND\n", "a@b", "Sorry", ""},
        {"failure_template=<<XX\nSubject: a: b\n\n\n one\n\n two\nXX\n", "Mail Delivery System <MAILER-DAEMON>", "a: b",
         "\n one\n\n two\n"},
        {HEAD "Subject: s\n\nend\n ENDE\n  END  \n# after\n", "Mail Delivery System <MAILER-DAEMON>", "s",
         "end\n ENDE\n"},
        {HEAD "Subject: s\n\nbody\nEND", "Mail Delivery System <MAILER-DAEMON>", "s",
         "body\n"}, /* no newline at the end */
        {"other_template = <<E\nSubject: other\n\nx\nE\n" HEAD "Subject: s\n\nb\nEND\n",
         "Mail Delivery System <MAILER-DAEMON>", "s", "b\n"},
        {HEAD "Subject: first\n\n1\nEND\n" HEAD "Subject: second\n\n2\nEND\n", "Mail Delivery System <MAILER-DAEMON>",
         "second", "2\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bounce_templates templates, built_in;
        struct failure failure = {0};
        bounce_templates_default(&templates);
        bounce_templates_default(&built_in);
        if (!bounce_templates_parse(str_from(rows[i].file), &templates, &failure))
            fail_msg("row %zu: %s", i, failure.text);
        struct str body = rows[i].body ? str_from(rows[i].body) : built_in.failure.body;
        if (!str_equal(templates.failure.from, str_from(rows[i].from)) ||
            !str_equal(templates.failure.subject, str_from(rows[i].subject)) ||
            !str_equal(templates.failure.body, body))
            fail_msg("row %zu: from \"%.*s\" subject \"%.*s\" body \"%.*s\"", i, STR_ARGS(templates.failure.from),
                     STR_ARGS(templates.failure.subject), STR_ARGS(templates.failure.body));
        assert_true(str_equal(templates.delay.body, built_in.delay.body));
    }
}

static struct bounce_template *verify_of(struct bounce_templates *templates) {
    return &templates->verify;
}
static struct bounce_template *success_of(struct bounce_templates *templates) {
    return &templates->success;
}
static struct bounce_template *delay_of(struct bounce_templates *templates) {
    return &templates->delay;
}

/* Each name sets its own template and no other. */
static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *name, *subject;
        struct bounce_template *(*of)(struct bounce_templates *templates);
    } rows[] = {{"delay", "Delayed Mail (still being retried)", delay_of},
                {"success", "Successful Mail Delivery Report", success_of},
                {"verify", "Mail Delivery Status Report", verify_of}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bounce_templates templates, restored;
        char file[100];
        bounce_templates_default(&templates);
        restored = templates;
        assert_true(str_equal(rows[i].of(&templates)->subject, str_from(rows[i].subject)));
        snprintf(file, sizeof file, "%s_template = <<E\nSubject: mine\n\nx\nE\n", rows[i].name);
        assert_true(bounce_templates_parse(str_from(file), &templates, NULL));
        assert_true(str_equal(rows[i].of(&templates)->subject, STR("mine")));
        *rows[i].of(&templates) = *rows[i].of(&restored);
        assert_memory_equal(&templates, &restored, sizeof templates);
    }
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *file, *said;
    } rows[] = {
        {"failure_template\n", "expected \"name = <<END\""},
        {"failure_template = END\n", "must begin with <<"},
        {"failure_template = <<\n", "must begin with <<"},
        {HEAD "Subject: s\n\nbody\n", "no line \"END\" ends the template"},
        {HEAD "Subject: s\n", "no line \"END\" ends the template"},
        {HEAD, "no line \"END\" ends the template"},
        {HEAD "Subject s\n\nEND\n", "expected \"Name: value\""},
        {HEAD "Reply-To: s\n\nEND\n", "none of Charset"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bounce_templates templates, before;
        struct failure failure = {0};
        bounce_templates_default(&templates);
        bounce_templates_default(&before);
        assert_false(bounce_templates_parse(str_from(rows[i].file), &templates, &failure));
        if (str_find_str(str_from(failure.text), str_from(rows[i].said)) == STR_NONE)
            fail_msg("row %zu: %s", i, failure.text);
        assert_memory_equal(&templates, &before, sizeof templates); /* untouched */
    }
}

static void test_expansion(void **state) {
    (void)state;
    static const struct bounce_word words[] = {
        {"myhostname", STR_INIT("mail.test")}, {"x", STR_INIT("$y")}, {"my", STR_INIT("wrong")}};
    static const struct {
        const char *text, *wanted;
    } rows[] = {{"", ""},
                {"no name", "no name"},
                {"$myhostname", "mail.test"},
                {"at ${myhostname}.", "at mail.test."},
                {"$myhostname_x $myhostnamex", "$myhostname_x $myhostnamex"},
                {"$", "$"},
                {"$$", "$$"},
                {"a$", "a$"},
                {"${myhostname", "${myhostname"},
                {"${", "${"},
                {"${}", "${}"},
                {"$ myhostname", "$ myhostname"},
                {"$unknown ${unknown}", "$unknown ${unknown}"},
                {"$x$x", "$y$y"}, /* what comes out is not looked at again */
                {"$$myhostname", "$mail.test"},
                {"${x}y", "$yy"},
                {"$$$x", "$$$y"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = buf_make(0);
        assert_true(bounce_template_expand(str_from(rows[i].text), words, ARRAY_LENGTH(words), &out));
        if (!str_equal(buf_str(&out), str_from(rows[i].wanted))) fail_msg("row %zu: %s", i, buf_string(&out));
        buf_free(&out);
    }
    struct buf small = buf_make(5);
    assert_false(bounce_template_expand(STR("$myhostname"), words, ARRAY_LENGTH(words), &small));
    buf_free(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good_files), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_bad_files), cmocka_unit_test(test_expansion)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
