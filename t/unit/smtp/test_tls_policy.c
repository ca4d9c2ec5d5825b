/* tls_policy: right-hand sides of smtp_tls_policy_maps, and the keys that are looked up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "buf.h"
#include "tls_policy.h"

static const struct {
    const char *text;
    const char *error; /* part of it; NULL: good */
    enum tls_level level;
    const char *protocols, *grade, *exclude, *match, *server_name; /* lists with blanks between */
    int reuse;                                                     /* -1: not said */
} cases[] = {
    {"none", NULL, TLS_LEVEL_NONE, "", "", "", "", "", -1},
    {"MAY", NULL, TLS_LEVEL_MAY, "", "", "", "", "", -1},
    {"encrypt", NULL, TLS_LEVEL_ENCRYPT, "", "", "", "", "", -1},
    {" dane ", NULL, TLS_LEVEL_DANE, "", "", "", "", "", -1},
    {"dane-only", NULL, TLS_LEVEL_DANE_ONLY, "", "", "", "", "", -1},
    {"verify", NULL, TLS_LEVEL_VERIFY, "", "", "", "", "", -1},
    {"secure match=example.org:.example.net", NULL, TLS_LEVEL_SECURE, "", "", "", "example.org .example.net", "", -1},
    {"secure match=a.test match=b.test", NULL, TLS_LEVEL_SECURE, "", "", "", "a.test b.test", "", -1},
    {"secure, match=nexthop, protocols=TLSv1.3", NULL, TLS_LEVEL_SECURE, "TLSv1.3", "", "", "nexthop", "", -1},
    {"encrypt protocols=>=TLSv1.2 ciphers=high", NULL, TLS_LEVEL_ENCRYPT, ">=TLSv1.2", "high", "", "", "", -1},
    {"encrypt protocols=!SSLv2:!SSLv3", NULL, TLS_LEVEL_ENCRYPT, "!SSLv2:!SSLv3", "", "", "", "", -1},
    {"may exclude=aNULL:RC4 exclude=DES", NULL, TLS_LEVEL_MAY, "", "", "aNULL RC4 DES", "", "", -1},
    {"encrypt servername=hostname", NULL, TLS_LEVEL_ENCRYPT, "", "", "", "", "hostname", -1},
    {"may connection_reuse=yes", NULL, TLS_LEVEL_MAY, "", "", "", "", "", 1},
    {"may connection_reuse=NO", NULL, TLS_LEVEL_MAY, "", "", "", "", "", 0},
    {"may enable_rpk=yes", NULL, TLS_LEVEL_MAY, "", "", "", "", "", -1},
    {"fingerprint match=AB:CD|01:23 match=ff:00", NULL, TLS_LEVEL_FINGERPRINT, "", "", "", "AB:CD 01:23 ff:00", "", -1},
    {"none whatever stands=here tafile=x", NULL, TLS_LEVEL_NONE, "", "", "", "", "", -1},
    {"", "no security level", 0, "", "", "", "", "", -1},
    {" , ", "no security level", 0, "", "", "", "", "", -1},
    {"maybe", "invalid security level", 0, "", "", "", "", "", -1},
    {"half-dane", "invalid security level", 0, "", "", "", "", "", -1},
    {"encrypt high", "malformed attribute", 0, "", "", "", "", "", -1},
    {"encrypt ciphers=", "bad value", 0, "", "", "", "", "", -1},
    {"encrypt ciphers=strong", "bad value", 0, "", "", "", "", "", -1},
    {"encrypt ciphers=high ciphers=medium", "more than once", 0, "", "", "", "", "", -1},
    {"encrypt protocols=TLSv1.2 protocols=TLSv1.3", "more than once", 0, "", "", "", "", "", -1},
    {"encrypt servername=a servername=b", "more than once", 0, "", "", "", "", "", -1},
    {"encrypt connection_reuse=yes connection_reuse=no", "more than once", 0, "", "", "", "", "", -1},
    {"encrypt connection_reuse=perhaps", "bad value", 0, "", "", "", "", "", -1},
    {"encrypt match=a.test", "no meaning at level encrypt", 0, "", "", "", "", "", -1},
    {"dane match=a.test", "no meaning at level dane", 0, "", "", "", "", "", -1},
    {"secure tafile=/etc/x.pem", "tafile= is not done", 0, "", "", "", "", "", -1},
    {"secure colour=blue", "unknown attribute", 0, "", "", "", "", "", -1},
};

static void join(const struct tls_words *words, char *text, size_t size) {
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < words->count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%.*s", i ? " " : "", STR_ARGS(words->words[i]));
}

static void test_policies(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct tls_policy policy = {.level = TLS_LEVEL_SECURE};
        struct failure failure = {0};
        char exclude[500], match[500];
        bool good = tls_policy_parse(str_from(cases[i].text), &policy, &failure);
        if (good != !cases[i].error) fail_msg("\"%s\": %s", cases[i].text, failure.text);
        if (!good) {
            if (!strstr(failure.text, cases[i].error)) fail_msg("\"%s\" says: %s", cases[i].text, failure.text);
            assert_int_equal(policy.level, TLS_LEVEL_SECURE);
            continue;
        }
        join(&policy.exclude, exclude, sizeof exclude);
        join(&policy.match, match, sizeof match);
        if (policy.level != cases[i].level || !str_equal(policy.protocols, str_from(cases[i].protocols)) ||
            !str_equal(policy.grade, str_from(cases[i].grade)) || strcmp(exclude, cases[i].exclude) != 0 ||
            strcmp(match, cases[i].match) != 0 || !str_equal(policy.server_name, str_from(cases[i].server_name)) ||
            (policy.has_reuse ? policy.reuse : -1) != cases[i].reuse || policy.has_exclude != (exclude[0] != '\0'))
            fail_msg("\"%s\": level %s protocols %.*s grade %.*s exclude %s match %s servername %.*s", cases[i].text,
                     tls_level_name(policy.level), STR_ARGS(policy.protocols), STR_ARGS(policy.grade), exclude, match,
                     STR_ARGS(policy.server_name));
    }
}

/* Lists are bounded, and one that does not fit leaves nothing behind. */
static void test_too_many(void **state) {
    (void)state;
    struct buf text = buf_make(0);
    struct tls_policy policy = {.level = TLS_LEVEL_NONE};
    struct failure failure = {0};
    buf_append(&text, STR("secure match=a"));
    for (size_t i = 1; i < TLS_POLICY_WORDS_MAX; i++)
        buf_append(&text, STR(":b.test"));
    assert_true(tls_policy_parse(buf_str(&text), &policy, &failure));
    assert_int_equal(policy.match.count, TLS_POLICY_WORDS_MAX);
    buf_append(&text, STR(":c.test"));
    policy.level = TLS_LEVEL_NONE;
    assert_false(tls_policy_parse(buf_str(&text), &policy, &failure));
    assert_int_equal(policy.level, TLS_LEVEL_NONE);
    buf_free(&text);
    struct tls_words words = {.count = TLS_POLICY_WORDS_MAX - 1};
    assert_false(tls_words_add(&words, STR("a b"), " "));
    assert_int_equal(words.count, TLS_POLICY_WORDS_MAX - 1);
    assert_true(tls_words_add(&words, STR("a"), " "));
}

static const struct {
    const char *next_hop, *keys; /* blanks between */
} key_cases[] = {
    {"example.org", "example.org .org"},
    {"a.b.example.org", "a.b.example.org .b.example.org .example.org .org"},
    {"localhost", "localhost"},
    {"example.org.", "example.org. .org."},
    {"example.org:26", "example.org:26"},
    {"[mx.example.org]", "[mx.example.org]"},
    {"[mx.example.org]:587", "[mx.example.org]:587"},
    {"[192.0.2.1]:25", "[192.0.2.1]:25"},
    {"inet:host.test:24", "inet:host.test:24"},
    {"unix:/run/x.sock", "unix:/run/x.sock"},
    {".example.org", ".example.org"},
    {"a..b", "a..b"},
    {"", ""},
};

static void test_keys(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(key_cases); i++) {
        struct buf keys = buf_make(0);
        struct str key;
        size_t step = 0, rounds = 0;
        while (rounds++ < 10 && tls_policy_key(str_from(key_cases[i].next_hop), &step, &key))
            buf_printf(&keys, "%s%.*s", keys.length ? " " : "", STR_ARGS(key));
        assert_string_equal(buf_string(&keys), key_cases[i].keys);
        buf_free(&keys);
    }
}

static void test_levels(void **state) {
    (void)state;
    enum tls_level level = TLS_LEVEL_SECURE;
    assert_false(tls_level_parse(STR("half-dane"), &level));
    assert_false(tls_level_parse(STR(""), &level));
    assert_int_equal(level, TLS_LEVEL_SECURE);
    assert_true(tls_level_parse(STR("Dane-Only"), &level));
    assert_int_equal(level, TLS_LEVEL_DANE_ONLY);
    assert_string_equal(tls_level_name(TLS_LEVEL_HALF_DANE), "half-dane");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
