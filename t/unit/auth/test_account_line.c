/* account_line: lines of a passwd-file, as Dovecot has them and as short ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "account_line.h"
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

static void test_no_room(void **state) {
    struct arena *arena = arena_create(16);
    struct auth_account account = {.login = STR("anna")};
    (void)state;
    assert_int_equal(account_line_read(STR("h:1:2:::::a=b c=d e=f g=h"), arena, &account), SOURCE_RETRY);
    assert_int_equal(account.field_count, 0);
    arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
