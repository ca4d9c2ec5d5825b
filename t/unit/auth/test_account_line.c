/* account_line: lines of a passwd-file, as Dovecot has them and as short ones; the quotas in them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "account_line.h"
#include "account_quota.h"
#include "sources.h"

static const struct {
    const char *line, *user, *secret, *apps, *home, *quota; /* user NULL: no account's line */
    enum source_answer answer;
} rows[] = {
    {"anna:{PLAIN}x", "anna", "{PLAIN}x", "", "", "", SOURCE_FOUND},
    {"anna:{PLAIN}x\r", "anna", "{PLAIN}x", "", "", "", SOURCE_FOUND},
    {"a@b:$6$x$y:1000:100::/home/a::userdb_quota=1G allow_nets=192.0.2.0/24", "a@b", "$6$x$y", "", "/home/a", "1G",
     SOURCE_FOUND},
    {"a:h::::::app_phone={SSHA}x app_tv={PLAIN}y=z quota=2G", "a", "h", "phone={SSHA}x tv={PLAIN}y=z", "", "2G",
     SOURCE_FOUND},
    {"a:h::::::quota=url:with:colons", "a", "h", "", "", "url:with:colons", SOURCE_FOUND},
    {"a:h:1000:100::/home/a::userdb_home=/srv/a", "a", "h", "", "/srv/a", "", SOURCE_FOUND},
    {"a:", "a", "", "", "", "", SOURCE_FOUND},
    {"a:!h", "a", "!h", "", "", "", SOURCE_DISABLED},
    {"a:*", "a", "*", "", "", "", SOURCE_DISABLED},
    {"a:h::::::nologin", "a", "h", "", "", "", SOURCE_DISABLED},
    {"a:h::::::disabled=yes", "a", "h", "", "", "", SOURCE_DISABLED},
    {"a:h::::::nologin=no", "a", "h", "", "", "", SOURCE_FOUND},
    {"a:h::::::app_=x", "a", "h", "", "", "", SOURCE_FOUND},
    {"# a:h", NULL, NULL, NULL, NULL, NULL, SOURCE_RETRY},
    {"", NULL, NULL, NULL, NULL, NULL, SOURCE_RETRY},
    {"anna", NULL, NULL, NULL, NULL, NULL, SOURCE_RETRY},
    {":h", NULL, NULL, NULL, NULL, NULL, SOURCE_RETRY},
};

static void test_lines(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena = arena_create(0);
        struct str user, rest;
        struct auth_account account = {.login = STR("anna")};
        bool good = account_line_split(str_from(rows[i].line), &user, &rest);
        if (good != (rows[i].user != NULL)) fail_msg("%s", rows[i].line);
        if (good) {
            assert_true(str_equal(user, str_from(rows[i].user)));
            if (account_line_read(rest, arena, &account) != rows[i].answer) fail_msg("%s", rows[i].line);
            assert_true(str_equal(account.login, STR("anna")) && str_equal(account.secret, str_from(rows[i].secret)));
            assert_true(str_equal(account.app_secrets, str_from(rows[i].apps)));
            assert_true(str_equal(auth_account_field(&account, STR("home")), str_from(rows[i].home)));
            assert_true(str_equal(auth_account_field(&account, STR("quota")), str_from(rows[i].quota)));
        }
        arena_destroy(&arena);
    }
}

/* What Dovecot's userdb says, with and without its prefix, in the fields and behind them. */
static void test_userdb(void **state) {
    struct arena *arena = arena_create(0);
    struct auth_account account = {.login = STR("anna")};
    (void)state;
    struct str rest = STR("h:1000:100:Anna:/home/a:/bin/sh:userdb_mail=maildir:~/Maildir userdb_uid=vmail "
                          "userdb_quota_rule=*:storage=1G:messages=10 proto=imap");
    assert_int_equal(account_line_read(rest, arena, &account), SOURCE_FOUND);
    assert_true(str_equal(auth_account_field(&account, STR("uid")), STR("vmail")));
    assert_true(str_equal(auth_account_field(&account, STR("gid")), STR("100")));
    assert_true(str_equal(auth_account_field(&account, STR("home")), STR("/home/a")));
    assert_true(str_equal(auth_account_field(&account, STR("mail")), STR("maildir:~/Maildir")));
    assert_true(str_equal(auth_account_field(&account, STR("proto")), STR("imap")));
    struct account_quota quota = {5, 6};
    struct str field;
    assert_true(account_quota_read(&account, &quota, &field));
    assert_int_equal(quota.storage, (uint64_t)1 << 30);
    assert_int_equal(quota.messages, 10);
    arena_destroy(&arena);
}

static const struct {
    const char *rule;
    uint64_t storage, messages; /* before: 7 and 8 */
    bool good;
} rules[] = {
    {"*:storage=1G", (uint64_t)1 << 30, 8, true},
    {"*:storage=1000", 1024000, 8, true}, /* kilobytes */
    {"*:storage=12B", 12, 8, true},
    {"*:storage=2k:messages=3", 2048, 3, true},
    {"*:bytes=1000", 1000, 8, true},
    {"*:bytes=3M", 3 << 20, 8, true},
    {"*:storage=2T", (uint64_t)2 << 40, 8, true},
    {"*:messages=100", 7, 100, true},
    {"*:messages=2K", 7, 2048, true},
    {"*:storage=0:messages=0", 0, 0, true},
    {"?:storage=1M", 1 << 20, 8, true},
    {"*:backend=x:messages=1", 7, 1, true},
    {"*:ignore", 0, 0, true},
    {"*:", 7, 8, true},
    {"Trash:storage=+100M", 7, 8, true},
    {"Trash:ignore", 7, 8, true},
    {"*", 7, 8, false},
    {"", 7, 8, false},
    {":storage=1G", 7, 8, false},
    {"*:storage=", 7, 8, false},
    {"*:storage=G", 7, 8, false},
    {"*:storage=-1", 7, 8, false},
    {"*:storage=10%", 7, 8, false},
    {"*:storage=1GB", 7, 8, false},
    {"*:messages=1:storage=x", 7, 8, false},
    {"*:storage=18446744073709551615", 7, 8, false},
    {"*:storage=16777216T", 7, 8, false},
    {"*:storage=16777215T", (uint64_t)16777215 << 40, 8, true},
    {"*:size=1", 7, 8, false},
};

static void test_rules(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        struct account_quota quota = {7, 8};
        bool good = quota_rule_read(str_from(rules[i].rule), &quota);
        if (good != rules[i].good || quota.storage != rules[i].storage || quota.messages != rules[i].messages)
            fail_msg("%s: %d %llu %llu", rules[i].rule, good, (unsigned long long)quota.storage,
                     (unsigned long long)quota.messages);
    }
}

static void check_fields(const char *extra, bool good, uint64_t storage, uint64_t messages) {
    struct arena *arena = arena_create(0);
    struct auth_account account = {.login = STR("anna")};
    struct account_quota quota = {7, 8};
    struct str field = STR_EMPTY;
    struct buf line = buf_make(0);
    buf_printf(&line, "h::::::%s", extra);
    assert_int_equal(account_line_read(buf_str(&line), arena, &account), SOURCE_FOUND);
    assert_int_equal(account_quota_read(&account, &quota, &field), good);
    assert_int_equal(field.length == 0, good);
    assert_int_equal(quota.storage, storage);
    assert_int_equal(quota.messages, messages);
    buf_free(&line);
    arena_destroy(&arena);
}

static void test_quotas(void **state) {
    (void)state;
    check_fields("", true, 7, 8);
    check_fields("quota_rule=*:storage=1B quota_rule2=*:messages=2", true, 1, 2);
    check_fields("quota_rule2=*:storage=2B quota_rule=*:storage=1B", true, 2, 8);
    check_fields("quota_rule=*:storage=1B userdb_quota_storage=5", true, 5, 8);
    check_fields("quota_rule=*:storage=1B quota_rule2=Trash:storage=+10%", true, 1, 8);
    check_fields("quota_rule=nonsense quota_messages=3", false, 7, 3);
    check_fields("quota_storage=many", false, 7, 8);
}

static void test_no_room(void **state) {
    struct arena *arena = arena_create(16);
    struct auth_account account = {.login = STR("anna")};
    (void)state;
    assert_int_equal(account_line_read(STR("h:1:2:::::a=b c=d e=f g=h"), arena, &account), SOURCE_RETRY);
    assert_int_equal(account.field_count, 0);
    arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_userdb),
                                       cmocka_unit_test(test_rules), cmocka_unit_test(test_quotas),
                                       cmocka_unit_test(test_no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
