/* The parameter table, evaluation with bounds and warnings, the sealed configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config_load.h"
#include "restriction_check.h"
#include "config_sheet.h"
#include "config_value.h"
#include "memory.h"

static const struct config_system machine = {
    .hostname = STR_INIT("mail.example.com"),
    .networks_host = STR_INIT("192.0.2.1/32"),
    .networks_subnet = STR_INIT("192.0.2.0/24"),
    .networks_class = STR_INIT("192.0.2.0/24 10.0.0.0/8"),
    .config_directory = STR_INIT("/etc/test"),
};

static struct config *evaluate(const char *text, unsigned scope) {
    struct config *config = NULL;
    struct failure failure = {0};
    if (!config_evaluate(str_from(text), "main.cf", &machine, NULL, 0, scope, &config, NULL, &failure))
        fail_msg("%s", failure.text);
    return config;
}

/* ---- the table */

static void test_table(void **state) {
    (void)state;
    assert_true(parameter_count > 400);
    for (size_t i = 0; i < parameter_count; i++) {
        const struct parameter *row = &parameter_table[i];
        if (parameter_find(row->name) != row)
            fail_msg("%s stands twice", row->name.data);
        if (parameter_is_foreign(row->name))
            fail_msg("%s is in foreign.def, too", row->name.data);
        if (!(row->scope & SCOPE_ALL))
            fail_msg("%s: nobody may see it", row->name.data);
        if (row->doc.length < 10 || row->doc.data[row->doc.length - 1] == ' ')
            fail_msg("%s: no documentation", row->name.data);
        if (row->minimum > row->maximum)
            fail_msg("%s: bounds", row->name.data);
    }
    for (size_t i = 0; i < transport_parameter_count; i++)
        assert_non_null(transport_parameter_fallback(&transport_parameter_table[i]));
    assert_int_equal(parameter_sections[0].first, 0);
    for (size_t i = 1; i < parameter_section_count; i++)
        assert_true(parameter_sections[i].first > parameter_sections[i - 1].first &&
                    parameter_sections[i].first < parameter_count);
}

static void test_defaults(void **state) {
    (void)state;
    struct config *config = evaluate("", SCOPE_ALL);
    assert_string_equal(config->myhostname.data, "mail.example.com");
    assert_string_equal(config->mydomain.data, "example.com");
    assert_string_equal(config->myorigin.data, "mail.example.com");
    assert_string_equal(config->mydestination.data, "mail.example.com, localhost.example.com, localhost");
    assert_string_equal(config->mynetworks.data, "192.0.2.1/32");
    assert_string_equal(config->config_directory.data, "/etc/test");
    assert_string_equal(config->smtpd_banner.data, "mail.example.com ESMTP tern");
    assert_string_equal(config->forward_path.data, "$home/.forward${recipient_delimiter}${extension}, $home/.forward");
    assert_string_equal(config->double_bounce_notice_recipient.data, "postmaster");
    assert_int_equal(config->smtpd_timeout, 300);
    assert_int_equal(config->smtpd_hard_error_limit, 20);
    assert_int_equal(config->maximal_queue_lifetime, 432000);
    assert_int_equal(config->delay_warning_time, 0);
    assert_int_equal(config->message_size_limit, 10240000);
    assert_true(config->append_at_myorigin);
    assert_false(config->soft_bounce);
    config_free(&config);
    assert_null(config);
}

/* ---- values */

struct value_row {
    const char *text; /* of main.cf */
    const char *name;
    const char *value; /* as config_value has it; NULL: a failure with a part of wrong */
    const char *wrong;
};

static const struct value_row value_rows[] = {
    {"smtpd_timeout = 5m\n", "smtpd_timeout", "300", NULL},
    {"smtpd_timeout = 7\n", "smtpd_timeout", "7", NULL},
    {"maximal_queue_lifetime = 2\n", "maximal_queue_lifetime", "172800", NULL},
    {"delay_warning_time = 4\n", "delay_warning_time", "14400", NULL},
    {"delay_warning_time = 1w\n", "delay_warning_time", "604800", NULL},
    {"stress = yes\n", "smtpd_timeout", "10", NULL},
    {"stress = yes\n", "smtpd_hard_error_limit", "1", NULL},
    {"soft_bounce = YES\n", "soft_bounce", "yes", NULL},
    {"log_format = json\n", "log_format", "json", NULL},
    {"myhostname = a.example.org\n", "mydomain", "example.org", NULL},
    {"myhostname = a.$mydomain\nmydomain = example.net\n", "myorigin", "a.example.net", NULL},
    {"inet_interfaces = loopback-only\n", "mynetworks", "127.0.0.0/8 [::1]/128", NULL},
    {"mynetworks_style = class\n", "mynetworks", "192.0.2.0/24 10.0.0.0/8", NULL},
    {"d = /srv\nqueue_directory = $d/q\n", "queue_directory", "/srv/q", NULL},
    {"mailbox_command = /usr/bin/procmail -a \"$EXTENSION\"\n", "mailbox_command",
     "/usr/bin/procmail -a \"$EXTENSION\"", NULL},
    {"2bounce_notice_recipient = root\n", "2bounce_notice_recipient", "root", NULL},
    {"x = y\nsmtpd_recipient_limit = abc\n", NULL, NULL,
     "main.cf, line 2: smtpd_recipient_limit: \"abc\" is no number from 1 to 1000000"},
    {"smtpd_recipient_limit = 0\n", NULL, NULL, "is no number from 1 to"},
    {"smtpd_recipient_limit =\n", NULL, NULL, "\"\" is no number"},
    {"smtpd_timeout = 5x\n", NULL, NULL, "\"5x\" is no time"},
    {"smtpd_timeout = 99w\n", NULL, NULL, "out of bounds; it has to be from 1s to 86400s"},
    {"smtpd_timeout = 99999999999999999999w\n", NULL, NULL, "is no time"},
    {"soft_bounce = maybe\n", NULL, NULL, "\"maybe\" is neither yes nor no"},
    {"queue_directory = q\n", NULL, NULL, "it has to begin with /"},
    {"log_format = xml\n", NULL, NULL, "\"xml\" is not one of text|json"},
    {"message_size_limit = -1\n", NULL, NULL, "is no number"},
    {"myorigin = ${mydomain\n", NULL, NULL, "main.cf, line 1: myorigin: "},
    {"myhostname = x.$mydomain\n", NULL, NULL, NULL}, /* a circle: no hang, see below */
    {"myorigin = $myorigin\n", NULL, NULL, "leads back to itself"},
    {"relay_destination_concurrency_limit = x\n", NULL, NULL, "relay_destination_concurrency_limit: \"x\" is no number"},
    {"slow_destination_rate_delay = x\n", NULL, NULL, "slow_destination_rate_delay: \"x\" is no time"},
};

static void test_values(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(value_rows); i++) {
        const struct value_row *row = &value_rows[i];
        struct config *config = NULL;
        struct failure failure = {0};
        struct config_number scratch;
        bool done = config_evaluate(str_from(row->text), "main.cf", &machine, NULL, 0, SCOPE_ALL, &config, NULL,
                                    &failure);
        if (row->name) {
            if (!done)
                fail_msg("\"%s\": %s", row->text, failure.text);
            struct str value = config_value(config, parameter_find(str_from(row->name)), &scratch);
            if (!str_equal(value, str_from(row->value)))
                fail_msg("\"%s\": %.*s", row->text, STR_ARGS(value));
        } else if (row->wrong) {
            if (done || !strstr(failure.text, row->wrong))
                fail_msg("\"%s\" said \"%s\"", row->text, failure.text);
        }
        config_free(&config);
    }
}

static void test_overrides(void **state) {
    (void)state;
    const struct config_override overrides[] = {{STR("syslog_name"), STR("postfix/$part")}, {STR("stress"), STR("yes")}};
    struct config *config = NULL;
    struct failure failure = {0};
    assert_true(config_evaluate(STR("part = submission\nsyslog_name = x\n"), "main.cf", &machine, overrides, 2,
                                SCOPE_ALL, &config, NULL, &failure));
    assert_string_equal(config->syslog_name.data, "postfix/submission");
    assert_int_equal(config->smtpd_timeout, 10);
    config_free(&config);
    const struct config_override wrong = {STR("smtpd_timeout"), STR("no")};
    assert_false(config_evaluate(STR(""), "main.cf", &machine, &wrong, 1, SCOPE_ALL, &config, NULL, &failure));
    assert_non_null(strstr(failure.text, "-o smtpd_timeout: "));
}

static void test_extra(void **state) {
    (void)state;
    struct config *config = evaluate("smtpd_restriction_classes = one, two\none = reject\ntwo = permit_mynetworks, $one\n"
                                     "slow_destination_rate_delay = 2m\nslow_destination_recipient_limit = 3\n"
                                     "relay_destination_concurrency_limit = 7\ndefault_destination_recipient_limit = 9\n",
                                     SCOPE_ALL);
    struct str value;
    struct config_number scratch;
    assert_true(config_user_value(config, STR("two"), &value));
    assert_true(str_equal(value, STR("permit_mynetworks, reject")));
    assert_false(config_user_value(config, STR("three"), &value));
    assert_int_equal(config_transport_number(config, STR("slow"), STR("destination_rate_delay")), 120);
    assert_int_equal(config_transport_number(config, STR("slow"), STR("destination_recipient_limit")), 3);
    assert_int_equal(config_transport_number(config, STR("other"), STR("destination_recipient_limit")), 9);
    assert_int_equal(config_transport_number(config, STR("relay"), STR("destination_concurrency_limit")), 7);
    assert_int_equal(config_transport_number(config, STR("local"), STR("destination_concurrency_limit")), 2);
    assert_int_equal(config_transport_number(config, STR("x"), STR("no_such_suffix")), 0);
    value = config_transport_text(config, STR("x"), STR("destination_concurrency_positive_feedback"), &scratch);
    assert_true(str_equal(value, STR("1")));
    config_free(&config);
}

static const struct {
    const char *text, *finding; /* "": none */
} restriction_rows[] = {
    {"", ""},
    {"smtpd_recipient_restrictions = permit_mynetworks, warn_if_reject Reject\n", ""},
    {"smtpd_client_restrictions = static:OK, check_client_access { inline:{a=b} }, sleep 600\n", ""},
    {"smtpd_restriction_classes = c\nc = reject\nsmtpd_helo_restrictions = c\n", ""},
    {"smtpd_restriction_classes = c\n", ""},
    {"smtpd_restriction_classes = c\nsmtpd_helo_restrictions = c\n", "smtpd_helo_restrictions: the restriction class c is not"},
    {"smtpd_restriction_classes = c\nc = permit, nonsense\n", "c: tern does not have the restriction \"nonsense\": tern-smtpd(8)"},
    {"smtpd_etrn_restrictions = check_policy_service inet:a:1, reject\n", "\"check_policy_service\" of Postfix's yet"},
    {"smtpd_etrn_restrictions = permit_mynetwork\n", ": permit_mynetworks would be right"},
    {"smtpd_sender_restrictions = reject_rbl_client bl.test=127.0.0.2 permit\n", "\"reject_rbl_client\" of Postfix's yet"},
    {"smtpd_sender_restrictions = check_sender_access\n", "smtpd_sender_restrictions: the list is malformed"},
    {"smtpd_sender_restrictions = permit }\n", "smtpd_sender_restrictions: the list is malformed"},
    {"smtpd_sender_restrictions = sleep 1h\n", "sleep 1h: a number of seconds up to 600 would be right"},
};

static void test_restrictions(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(restriction_rows); i++) {
        struct config *config = evaluate(restriction_rows[i].text, SCOPE_SMTPD);
        struct buf lines = buf_make(0);
        bool none = restriction_rows[i].finding[0] == '\0';
        assert_int_equal(restriction_check(config, &lines), none);
        size_t count = 0;
        for (size_t k = 0; k < lines.length; k++)
            count += lines.data[k] == '\n';
        assert_int_equal(count, none ? 0 : 1);
        if (!strstr(buf_string(&lines), restriction_rows[i].finding))
            fail_msg("%s: %s", restriction_rows[i].text, buf_string(&lines));
        buf_free(&lines);
        config_free(&config);
    }
}

struct warning_row {
    const char *text;
    const char *warning; /* "" for none at all */
};

static const struct warning_row warning_rows[] = {
    {"", ""},
    {"myhostname = a.b\n", ""},
    {"a = 1\nmyorigin = $a\n", ""},
    {"a = 1\nb = $a\nmyorigin = $b\n", ""},
    {"c = reject\nsmtpd_restriction_classes = c\n", ""},
    {"slow_destination_concurrency_limit = 1\n", ""},
    {"slow_destination_rate_delay = 1\n", "main.cf, line 1: slow_destination_rate_delay has no effect"},
    {"header_checks = regexp:/x\n", "main.cf, line 1: header_checks has no effect: tern does not do this yet\n"},
    {"always_bcc =\nheader_from_format = standard\n", ""},
    {"foo = bar\n", "main.cf: unused parameter: foo=bar\n"},
    {"smtpd_recipient_restriction = reject\n",
     "unused parameter: smtpd_recipient_restriction=reject (line 1; did you mean smtpd_recipient_restrictions?)"},
    {"postscreen_greet_wait = 3s\n", "main.cf, line 1: postscreen_greet_wait is a parameter of Postfix that tern does not use"},
    {"myorigin = a\nmyorigin = b\n", "main.cf, line 2: overriding earlier entry: myorigin=a"},
    {"myorigin = $nosuch\n", "main.cf: undefined parameter: nosuch"},
};

static void test_warnings(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(warning_rows); i++) {
        struct config *config = NULL;
        struct failure failure = {0};
        struct buf warnings = buf_make(0);
        assert_true(config_evaluate(str_from(warning_rows[i].text), "main.cf", &machine, NULL, 0, SCOPE_ALL, &config,
                                    &warnings, &failure));
        if (warning_rows[i].warning[0] ? !strstr(buf_string(&warnings), warning_rows[i].warning) : warnings.length > 0)
            fail_msg("\"%s\" warned \"%s\"", warning_rows[i].text, buf_string(&warnings));
        buf_free(&warnings);
        config_free(&config);
    }
}

/* ---- the sealed configuration */

static void assert_same(const struct config *a, const struct config *b, unsigned scope) {
    for (size_t i = 0; i < parameter_count; i++) {
        struct config_number x, y;
        if (!(parameter_table[i].scope & scope))
            continue;
        struct str left = config_value(a, &parameter_table[i], &x), right = config_value(b, &parameter_table[i], &y);
        if (!str_equal(left, right))
            fail_msg("%s: \"%s\" and \"%s\"", parameter_table[i].name.data, left.data, right.data);
    }
}

static void test_seal(void **state) {
    (void)state;
    struct config *config = evaluate("myhostname = a.b\nsmtpd_timeout = 1m\ndelay_warning_time = 2\nfoo = $myhostname\n"
                                     "smtpd_restriction_classes = foo\nmailbox_command = x $y\n",
                                     SCOPE_ALL);
    struct config *seen = NULL;
    struct failure failure = {0};
    int descriptor = -1;

    assert_true(config_seal(config, SCOPE_SMTPD, &descriptor, &failure));
    errno = 0;
    assert_true(write(descriptor, "x", 1) < 0 && errno == EPERM);
    assert_true(config_unseal(descriptor, &seen, &failure));
    assert_int_equal(seen->scope, SCOPE_SMTPD);
    assert_same(config, seen, SCOPE_SMTPD);
    assert_int_equal(seen->smtpd_timeout, 60);
    assert_string_equal(seen->myhostname.data, "a.b");
    /* Not smtpd's business. */
    assert_int_equal(seen->mailbox_command.length, 0);
    struct str value;
    assert_true(config_user_value(seen, STR("foo"), &value) && str_equal(value, STR("a.b")));
    config_free(&seen);
    close(descriptor);

    assert_true(config_seal(config, SCOPE_ALL, &descriptor, &failure));
    assert_true(config_unseal(descriptor, &seen, &failure));
    assert_same(config, seen, SCOPE_ALL);
    config_free(&seen);
    close(descriptor);

    descriptor = memfd_create("unsealed", MFD_CLOEXEC);
    assert_false(config_unseal(descriptor, &seen, &failure));
    assert_null(seen);
    close(descriptor);
    config_free(&config);
}

static void test_decode_refuses(void **state) {
    (void)state;
    struct config *config = evaluate("", SCOPE_ALL), *seen = NULL;
    struct buf good = buf_make(0);
    struct failure failure;
    config_encode(config, SCOPE_QMGR, &good);
    /* Every cut and a change of every byte. */
    for (size_t i = 0; i < good.length; i += good.length > 4000 ? 7 : 1) {
        assert_false(config_decode(str_slice(buf_str(&good), 0, i), &seen, &failure));
        good.data[i] ^= 0x20;
        assert_false(config_decode(buf_str(&good), &seen, &failure));
        good.data[i] ^= 0x20;
    }
    assert_true(config_decode(buf_str(&good), &seen, &failure));
    config_free(&seen);
    config_free(&config);
    buf_free(&good);
}

static void test_nearest(void **state) {
    (void)state;
    assert_string_equal(parameter_nearest(STR("mydestinations"))->name.data, "mydestination");
    assert_string_equal(parameter_nearest(STR("smptd_banner"))->name.data, "smtpd_banner");
    assert_null(parameter_nearest(STR("completely_other_thing")));
    assert_null(parameter_nearest(STR("")));
}

/* ---- everything that is wrong, not only the first */

static void test_errors(void **state) {
    (void)state;
    static const char text[] = "myhostname = a.example\n"
                               "smtpd_timeout = soon\n"
                               "= nothing\n"
                               "soft_bounce = maybe\n"
                               "bad name = x\n"
                               "foo_destination_concurrency_limit = abc\n"
                               "mydomain = b.example\n";
    static const char *const expected[] = {
        "main.cf, line 2: smtpd_timeout: ", "main.cf, line 3: no name",
        "main.cf, line 4: soft_bounce: ",   "main.cf, line 5: \"bad name\"",
        "main.cf, line 6: foo_destination_concurrency_limit: ",
    };
    struct buf errors = buf_make(0);
    struct config_sheet *sheet;
    struct str value;
    config_sheet_create_all(str_from(text), "main.cf", &machine, NULL, 0, &sheet, &errors);
    assert_true(config_sheet_explicit(sheet, STR("mydomain"), &value));
    config_sheet_errors(sheet, &errors);
    config_sheet_free(&sheet);
    struct str rest = buf_str(&errors), line;
    size_t lines = 0;
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++)
        if (str_find_str(buf_str(&errors), str_from(expected[i])) == STR_NONE)
            fail_msg("no \"%s\" in:\n%s", expected[i], buf_string(&errors));
    while (str_next_word(&rest, "\n", &line))
        lines++;
    assert_int_equal(lines, sizeof(expected) / sizeof(*expected));
    buf_free(&errors);
}

static void test_no_errors(void **state) {
    (void)state;
    struct buf errors = buf_make(0);
    struct config_sheet *sheet;
    config_sheet_create_all(STR("smtpd_timeout = 5m\n"), "main.cf", &machine, NULL, 0, &sheet, &errors);
    config_sheet_errors(sheet, &errors);
    config_sheet_free(&sheet);
    assert_int_equal(errors.length, 0);
    buf_free(&errors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),     cmocka_unit_test(test_defaults), cmocka_unit_test(test_values),
        cmocka_unit_test(test_overrides), cmocka_unit_test(test_extra),
        cmocka_unit_test(test_restrictions),    cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_seal),      cmocka_unit_test(test_decode_refuses), cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_no_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
