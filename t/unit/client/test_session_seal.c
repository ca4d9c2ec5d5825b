/* The seal of a saved session: what mailbox made is opened, nothing else; and whoever has a session's key can seal for
 * that login and account alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "session_channel.h"

#define ACCOUNT "1001 1001 0 0 5 imap\n/mail/ada\n/cache/ada\n192.0.2.1\n"

static const uint8_t master[32] = "the key of all seals, 32 octets";
static const uint8_t nonce[16] = "a session's own";

static void seal(const char *login, const char *bound, const char *state, struct buf *sealed) {
    struct session_settings settings = {.login = str_from(login)};
    memcpy(settings.nonce, nonce, sizeof nonce);
    session_seal_key(master, settings.login, nonce, str_from(bound), settings.seal);
    session_seal(&settings, str_from(state), sealed);
}

static bool opens(struct str sealed, struct str *login, struct str *state) {
    uint8_t found[16] = {0};
    bool good = session_unseal(master, sealed, login, found, state);
    if (good) assert_memory_equal(found, nonce, sizeof nonce);
    return good;
}

static void is_opened(void **unused) {
    (void)unused;
    struct buf sealed = buf_make(0);
    struct str login, state;
    seal("ada", ACCOUNT, ACCOUNT "view", &sealed);
    assert_true(opens(buf_str(&sealed), &login, &state));
    assert_true(str_equal(login, STR("ada")) && str_equal(state, STR(ACCOUNT "view")));
    assert_memory_equal(session_state_number(buf_str(&sealed)).data, nonce, sizeof nonce);
    buf_free(&sealed);
}

static void no_octet_is_altered(void **unused) {
    (void)unused;
    struct buf sealed = buf_make(0);
    struct str login, state;
    seal("ada", ACCOUNT, ACCOUNT "view", &sealed);
    for (size_t i = 0; i < sealed.length; i++) {
        sealed.data[i] = (char)(sealed.data[i] ^ 1);
        assert_false(opens(buf_str(&sealed), &login, &state));
        sealed.data[i] = (char)(sealed.data[i] ^ 1);
        assert_false(opens(str_slice(buf_str(&sealed), 0, i), &login, &state));
    }
    assert_true(opens(buf_str(&sealed), &login, &state));
    buf_free(&sealed);
}

/* A session in an attacker's hands has its key: it seals what it likes. */
static void key_is_of_one_account(void **unused) {
    (void)unused;
    static const struct {
        const char *login, *state;
        bool good;
    } cases[] = {
        {"ada", ACCOUNT "another view", true},
        {"ada", ACCOUNT, true},
        {"ada", "0 0 0 0 5 imap\n/mail/ada\n/cache/ada\n192.0.2.1\nview", false},
        {"ada", "1002 1001 0 0 5 imap\n/mail/ada\n/cache/ada\n192.0.2.1\nview", false},
        {"ada", "1001 1001 0 0 5 imap\n/mail/bob\n/cache/ada\n192.0.2.1\nview", false},
        {"ada", "1001 1001 0 0 5 imap\n/\n" ACCOUNT, false},
        {"ada", "\n" ACCOUNT, false},
        {"ada", "1001 1001 0 0 5 imap\n/mail/ada\n/cache/ada\n192.0.2.1", false},
        {"ada", "", false},
        {"bob", ACCOUNT "view", false},
        {"ada1", "001 1001 0 0 5 imap\n/mail/ada\n/cache/ada\n192.0.2.1\n", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct session_settings settings = {.login = str_from(cases[i].login)};
        struct buf sealed = buf_make(0);
        struct str login, state;
        memcpy(settings.nonce, nonce, sizeof nonce);
        session_seal_key(master, STR("ada"), nonce, STR(ACCOUNT), settings.seal);
        session_seal(&settings, str_from(cases[i].state), &sealed);
        assert_int_equal(opens(buf_str(&sealed), &login, &state), cases[i].good);
        buf_free(&sealed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_opened),
        cmocka_unit_test(no_octet_is_altered),
        cmocka_unit_test(key_is_of_one_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
