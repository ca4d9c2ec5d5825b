/* Unit tables of what sources make of texts: settings, templates, queries, escapes, accounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "account_builder.h"
#include "ldap_escape.h"
#include "source_settings.h"
#include "source_template.h"
#include "sql_query.h"

static struct source_question question_of(const char *user, struct arena *arena) {
    return (struct source_question){.user = str_from(user),
                                    .protocol = STR("imap"),
                                    .client_address = STR("2001:db8::1"),
                                    .until = DEADLINE_NEVER,
                                    .arena = arena};
}

/* ---- settings */

struct settings {
    struct str name, kind, needed;
    int64_t number, seconds;
    bool on;
};

static const struct source_setting rows[] = {
    {"name", SOURCE_TEXT, offsetof(struct settings, name), "nobody", 0, 0, NULL},
    {"kind", SOURCE_CHOICE, offsetof(struct settings, kind), "one", 0, 0, "one|two"},
    {"needed", SOURCE_REQUIRED, offsetof(struct settings, needed), "", 0, 0, NULL},
    {"number", SOURCE_NUMBER, offsetof(struct settings, number), "5", 1, 9, NULL},
    {"seconds", SOURCE_SECONDS, offsetof(struct settings, seconds), "10s", 1, 600, NULL},
    {"on", SOURCE_SWITCH, offsetof(struct settings, on), "no", 0, 0, NULL},
    {"debuglevel", SOURCE_IGNORED, 0, "", 0, 0, NULL},
};

/* Text, what it says or what is wrong with it. */
static const struct {
    const char *text, *wanted, *failure;
} settings_table[] = {
    {"needed = x", "nobody one x 5 10 0", NULL},
    {"needed=x\nname = a  b\nkind=two\nnumber = 9\nseconds = 2m\non = YES\n", "a  b two x 9 120 1", NULL},
    {"# said\n\nneeded = SELECT a\n  # in between\n  FROM b\ndebuglevel = 3\n", "nobody one SELECT a FROM b 5 10 0",
     NULL},
    {"needed = a = b $c", "nobody one a = b $c 5 10 0", NULL},
    {"", NULL, "file: needed is not set"},
    {"needed =", NULL, "file: needed is not set"},
    {"needed = x\nkind = three", NULL, "file: line 2: kind: one of these is wanted: one|two"},
    {"needed = x\nkind =", NULL, "file: line 2: kind: one of these is wanted: one|two"},
    {"needed = x\nnumber = 10", NULL, "file: line 2: number: a number between 1 and 9 is wanted"},
    {"needed = x\nnumber = 1x", NULL, "file: line 2: number: a number between 1 and 9 is wanted"},
    {"needed = x\nseconds = 1h", NULL, "file: line 2: seconds: a number between 1 and 600 is wanted"},
    {"needed = x\non = maybe", NULL, "file: line 2: on: yes or no is wanted"},
    {"needed = x\nnames = y", NULL, "file: line 2: \"names\" is no setting of this kind of source"},
    {"needed = x\nsecret words", NULL, "file: line 2: a setting is written name = value"},
    {" needed = x", NULL,
     "file: line 1: begins with white space but continues nothing; a name begins in the first column"},
};

static void test_settings(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(settings_table); i++) {
        struct arena *arena = arena_create(0);
        struct settings got = {.number = 77};
        struct failure failure = {0};
        char text[200];
        bool good = source_settings_parse(str_from(settings_table[i].text), "file", rows, ARRAY_LENGTH(rows), &got,
                                          sizeof got, arena, &failure);
        assert_int_equal(good, settings_table[i].wanted != NULL);
        if (good) {
            snprintf(text, sizeof text, "%.*s %.*s %.*s %d %d %d", STR_ARGS(got.name), STR_ARGS(got.kind),
                     STR_ARGS(got.needed), (int)got.number, (int)got.seconds, got.on);
            assert_string_equal(text, settings_table[i].wanted);
        } else {
            assert_string_equal(failure.text, settings_table[i].failure);
            assert_int_equal(got.number, 77);
        }
        arena_destroy(&arena);
    }
}

/* ---- templates */

static const struct {
    const char *template, *user, *wanted; /* wanted NULL: no domain */
} template_table[] = {
    {"%u", "anna@example.test", "anna@example.test"},
    {"%s|%n|%d", "anna@example.test", "anna@example.test|anna|example.test"},
    {"%n|%d", "a@b@c", "a@b|c"},
    {"%n", "anna", "anna"},
    {"%d", "anna", NULL},
    {"%d", "anna@", NULL},
    {"%r %P %%u 5%", "x", "2001:db8::1 imap %u 5%"},
};

static void test_templates(void **state) {
    struct failure failure;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(template_table); i++) {
        struct buf out = buf_make(0);
        struct source_question question = question_of(template_table[i].user, NULL);
        enum source_template_result result =
            source_template_expand(str_from(template_table[i].template), &question, NULL, &out);
        assert_int_equal(result, template_table[i].wanted ? SOURCE_TEMPLATE_DONE : SOURCE_TEMPLATE_NO_DOMAIN);
        if (template_table[i].wanted) assert_string_equal(buf_string(&out), template_table[i].wanted);
        buf_free(&out);
    }
    assert_true(source_template_check(STR("%u %s %n %d %r %P %% x"), "it", &failure));
    assert_false(source_template_check(STR("%u %x"), "it", &failure));
    assert_string_equal(failure.text, "it: %x is not known; there are %u %s %n %d %r %P and %%");
    assert_false(source_template_check(STR("%u %"), "it", &failure));
    assert_true(source_template_varies(STR("a%%%u")));
    assert_false(source_template_varies(STR("a%%u%")));
}

static void test_users(void **state) {
    char longest[SOURCE_USER_MAX + 1];
    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_true(source_user_is_plain(STR("anna' OR '1'='1@example.test")));
    assert_true(source_user_is_plain(STR("änna")));
    assert_true(source_user_is_plain(str_make(longest, SOURCE_USER_MAX)));
    assert_false(source_user_is_plain(str_make(longest, SOURCE_USER_MAX + 1)));
    assert_false(source_user_is_plain(STR("")));
    assert_false(source_user_is_plain(STR("a\0b")));
    assert_false(source_user_is_plain(STR("a\nb")));
    assert_false(source_user_is_plain(STR("a\x7f")));
    assert_false(source_user_is_plain(STR("a\xff")));
    assert_true(source_user_in_domains(STR("a@b.test"), STR("")));
    assert_true(source_user_in_domains(STR("a@B.test"), STR("c.test, b.test")));
    assert_false(source_user_in_domains(STR("a@d.test"), STR("c.test, b.test")));
    assert_false(source_user_in_domains(STR("a"), STR("c.test")));
}

/* ---- queries: for the user o'hara@x.test */

static const struct {
    const char *query, *statement, *values; /* statement NULL: values is what is wrong */
} query_table[] = {
    {"SELECT p FROM u WHERE l = %u", "SELECT p FROM u WHERE l = $1", "o'hara@x.test"},
    {"SELECT p FROM u WHERE l = '%u'", "SELECT p FROM u WHERE l = $1", "o'hara@x.test"},
    {"SELECT p FROM u WHERE l = '%s';", "SELECT p FROM u WHERE l = $1;", "o'hara@x.test"},
    {"SELECT '%n' , '%d', 'a%n@%d''b'", "SELECT $1 , $2, $3", "o'hara|x.test|ao'hara@x.test'b"},
    {"SELECT 'x''y', '5%%', 7 %% 2 WHERE %u", "SELECT 'x''y', '5%', 7 % 2 WHERE $1", "o'hara@x.test"},
    {"SELECT \"a''b\" -- it's\n WHERE '%u'", "SELECT \"a''b\" -- it's\n WHERE $1", "o'hara@x.test"},
    {"/* it's */ SELECT '%u'", "/* it's */ SELECT $1", "o'hara@x.test"},
    {"SELECT 'a", NULL, "query: a quote is not closed"},
    {"SELECT \"a", NULL, "query: a quote is not closed"},
    {"SELECT \"%u\"", NULL, "query: a place cannot stand for the name of a table or column"},
    {"SELECT 1 -- %u", NULL, "query: a place cannot stand in a comment"},
    {"SELECT 1 /* %u", NULL, "query: a place cannot stand in a comment"},
    {"SELECT E'%u'", NULL, "query: a place cannot stand in quotes with something before them"},
    {"SELECT U&'%u'", NULL, "query: a place cannot stand in quotes with something before them"},
    {"SELECT $$%u$$", NULL, "query: a dollar sign cannot stand outside of quotes"},
    {"SELECT $1", NULL, "query: a dollar sign cannot stand outside of quotes"},
    {"SELECT E'it\\'s', %u", NULL, "query: a quote is not closed"},
    {"SELECT \\%u", NULL, "query: a backslash cannot stand outside of quotes"},
    {"SELECT 1", NULL, "query: it has no place for the user, such as %u"},
    {"SELECT '%x', %u", NULL, "query: %x is not known; there are %u %s %n %d %r %P and %%"},
    {"SELECT %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u", NULL, "query: too many places"},
};

static void test_queries(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(query_table); i++) {
        struct arena *arena = arena_create(0);
        struct failure failure = {0};
        struct sql_query query;
        struct sql_values values;
        struct buf all = buf_make(0);
        struct source_question question = question_of("o'hara@x.test", arena);
        bool good = sql_query_parse(str_from(query_table[i].query), '$', arena, &query, &failure);
        if (good != (query_table[i].statement != NULL)) print_error("%s: %s\n", query_table[i].query, failure.text);
        assert_int_equal(good, query_table[i].statement != NULL);
        if (good) {
            assert_string_equal(query.statement.data, query_table[i].statement);
            assert_int_equal(sql_query_values(&query, &question, &values), SOURCE_TEMPLATE_DONE);
            for (size_t k = 0; k < values.count; k++)
                buf_printf(&all, "%s%s", k ? "|" : "", values.values[k]);
            assert_string_equal(buf_string(&all), query_table[i].values);
        } else {
            assert_string_equal(failure.text, query_table[i].values);
        }
        buf_free(&all);
        arena_destroy(&arena);
    }
}

/* ---- escapes */

static const struct {
    struct str value;
    const char *filter, *dn;
} escape_table[] = {
    {STR_INIT("anna@example.test"), "anna@example.test", "anna@example.test"},
    {STR_INIT("*)(uid=*"), "\\2a\\29\\28uid=\\2a", "*)(uid\\3d*"},
    {STR_INIT("a\\b"), "a\\5cb", "a\\5cb"},
    {STR_INIT("a\0b"), "a\\00b", "a\\00b"},
    {STR_INIT(" a b "), " a b ", "\\20a b\\20"},
    {STR_INIT("#a,b+c\"d;e<f>g=h"), "#a,b+c\"d;e<f>g=h", "\\23a\\2cb\\2bc\\22d\\3be\\3cf\\3eg\\3dh"},
    {STR_INIT("ä"), "ä", "ä"},
};

static void test_escapes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(escape_table); i++) {
        struct buf out = buf_make(0);
        ldap_escape_filter(&out, escape_table[i].value);
        assert_string_equal(buf_string(&out), escape_table[i].filter);
        buf_clear(&out);
        ldap_escape_dn(&out, escape_table[i].value);
        assert_string_equal(buf_string(&out), escape_table[i].dn);
        buf_free(&out);
    }
}

/* ---- accounts */

static void test_accounts(void **state) {
    struct arena *arena = arena_create(0);
    struct account_builder builder;
    struct auth_account account = {0};
    struct failure failure = {0};
    (void)state;
    account_begin(&builder, STR("Anna"), STR("SSHA"), arena);
    account_add(&builder, STR("LOGIN"), STR("anna"));
    account_add(&builder, STR("password"), STR("abc"));
    account_add(&builder, STR("secret"), STR("second"));
    account_add(&builder, STR("app_passwords"), STR("phone={SHA}x"));
    account_add(&builder, STR("userdb_home"), STR("/home/anna"));
    account_add(&builder, STR("home"), STR("/elsewhere"));
    account_add(&builder, STR("quota"), STR("1G"));
    account_add(&builder, STR("disabled"), STR("0"));
    assert_int_equal(account_finish(&builder, &account, &failure), SOURCE_FOUND);
    assert_true(str_equal(account.login, STR("anna")));
    assert_true(str_equal(account.secret, STR("{SSHA}abc")));
    assert_true(str_equal(account.app_secrets, STR("phone={SHA}x")));
    assert_int_equal(account.field_count, 2);
    assert_true(str_equal(account.fields[0].name, STR("home")) &&
                str_equal(account.fields[0].value, STR("/home/anna")));
    static const char *const kept[] = {"{PLAIN}x", "$6$x$y"};
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        account_begin(&builder, STR("anna"), STR("SSHA"), arena);
        account_add(&builder, STR("password"), str_from(kept[i]));
        assert_int_equal(account_finish(&builder, &account, &failure), SOURCE_FOUND);
        assert_true(str_equal(account.secret, str_from(kept[i])));
    }
    account_begin(&builder, STR("anna"), STR("CRYPT"), arena);
    account_add(&builder, STR("password"), STR("ab01FAX.bQRSU"));
    assert_int_equal(account_finish(&builder, &account, &failure), SOURCE_FOUND);
    assert_true(str_equal(account.secret, STR("ab01FAX.bQRSU")));
    static const char *const yes[] = {"1", "t", "yes", "TRUE"};
    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++) {
        account_begin(&builder, STR("anna"), STR_EMPTY, arena);
        account_add(&builder, STR("nologin"), str_from(yes[i]));
        assert_int_equal(account_finish(&builder, &account, &failure), SOURCE_DISABLED);
    }
    arena_destroy(&arena);
}

static void test_account_limits(void **state) {
    struct arena *arena = arena_create(0);
    struct account_builder builder;
    struct auth_account account = {.field_count = 99};
    struct failure failure = {0};
    char name[20], large[ACCOUNT_FIELD_VALUE_MAX + 1];
    (void)state;
    memset(large, 'x', sizeof large);
    account_begin(&builder, STR("anna"), STR_EMPTY, arena);
    for (int i = 0; i <= ACCOUNT_FIELDS_MAX; i++) {
        snprintf(name, sizeof name, "field%d", i);
        account_add(&builder, str_from(name), STR("x"));
    }
    assert_int_equal(account_finish(&builder, &account, &failure), SOURCE_RETRY);
    account_begin(&builder, STR("anna"), STR_EMPTY, arena);
    account_add(&builder, STR("x"), str_make(large, sizeof large));
    assert_int_equal(account_finish(&builder, &account, &failure), SOURCE_RETRY);
    account_begin(&builder, str_make(large, 257), STR_EMPTY, arena);
    assert_int_equal(account_finish(&builder, &account, &failure), SOURCE_RETRY);
    assert_int_equal(account.field_count, 99);
    arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),       cmocka_unit_test(test_templates), cmocka_unit_test(test_users),
        cmocka_unit_test(test_queries),        cmocka_unit_test(test_escapes),   cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_account_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
