/* password_hash: secrets that Dovecot, crypt(3) and Python made, and SCRAM's examples of RFC 5802 and 7677. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base64.h"
#include "memory.h"
#include "password_hash.h"

static const char *const of_secret[] = {
    "{PLAIN}secret",
    "{plain}secret",
    "{CLEARTEXT}secret",
    "{CLEAR}secret",
    "{PLAIN.b64}c2VjcmV0",
    "{PLAIN.base64}c2VjcmV0",
    "{PLAIN.HEX}736563726574",
    "$y$j9T$abcdefgh$IUWJt2doU4Kf6E/JP1UkAT3S5O3Q7SSA8SJirXIlEu9",
    "{CRYPT}$y$j9T$abcdefgh$IUWJt2doU4Kf6E/JP1UkAT3S5O3Q7SSA8SJirXIlEu9",
    "{CRYPT.b64}JHkkajlUJGFiY2RlZmdoJElVV0p0MmRvVTRLZjZFL0pQMVVrQVQzUzVPM1E3U1NBOFNKaXJYSWxFdTk=",
    "{BLF-CRYPT}$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "{SHA512-CRYPT}$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/"
    "otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/",
    "{SHA256-CRYPT}$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2",
    "{MD5-CRYPT}$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
    "{CRYPT}abNANd1rDfiNc",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SHA1.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
    "{SSHA}1G904nLkTkGWjKNnQuB/hpWXC/hzYWx0c2FsdA==",
    "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
    "{SHA256.hex}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
    "{SSHA256}oBmrdHcA6OZEkkCLeXh71YAerbvhXz1qqwjrPsXmEtNzYWx0c2FsdA==",
    "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
    "{SSHA512}aCu7JRc+kLsuEmFs1zTY+AiP7DSGnjjG+dH28Dp+E5usqoAixeTPihKqZmkWal4mUfp63tqvCAkFV1LKTDFH6XNhbHRzYWx0",
    "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{SMD5}VAfQ6nCkaw9o3u+x706wnXNhbHRzYWx0",
    "{PBKDF2}$1$NaCl$5000$a67ce53690def3438a1fa9ec53b4261d1e1ee5c8",
    "{SCRAM-SHA-1}4096,c2FsdHNhbHQ=,RgEqzzKLKVeLA7GvEwcwrTiMvYA=,BGJ3kaHb4Tscas0mjhXJHF+aw/s=",
    "{SCRAM-SHA-256}4096,c2FsdHNhbHQ=,v9cxy4WCDtc8UMxTg6KXCtlxIku1bUKTGuWEXFC1L54=,"
    "rwGpSn6lR97mSEImO0RA7JCZ4WnpCnnKddTt3G/t6II=",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$1F/zPfV1oOnkMMZHA2Vnqw$AHJJulT8ilreCyGk2Qnuc/saNfF2tibcP+M6oUSsurw",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$WD18R64umGnhCy3cSQCLxg$+Gicze8N7jmXzpgDgh/eI3qbNlgbuECBG+giUedkdRU",
    "{SSHA256}PH6FpPKLkbTBwJZBEu/7GyQq0DieYzE/Em3xDsG5ybFRO20a",
    "{SSHA512.HEX}"
    "2252ecf7e7031e543482af4b1186f7c6bcf7ef61fd2a5a730dbe0d7143558c4409f94815704e24e107ecf3f3d43761a40bb1f1361d2d"
    "24564c0286c0684fdacffa59fe51",
    "{PBKDF2}$1$82LNnP8RKlEWdpC1$5000$c932085f375288319d0ed73e9e981b9104153179",
    "{SCRAM-SHA-256}4096,o1D759fBoKNczqUzBx+caw==,cGdtG2raWp0KdA+JhT8oMH4VMVCHE5iUKLoMGeWzHNs=,"
    "B2pVwLb2m7CZJ3UU/mKmQUcpZeL/qRiE9osD/5FAeks=",
    "{BLF-CRYPT}$2y$05$9Ps3IQnLLouSEB/O0.3j7O6AZXb9xNGzpdW3kWPFRDI0GDs9br7au",
    "{SMD5}t2drP6H/vn1qRZ9REVpKHf1UzDw=",
};

static const char *const unreadable[] = {
    "",
    "{",
    "{PLAIN",
    "{NONE}secret",
    "{PLAIN.b65}secret",
    "{PLAIN.b64}c2VjcmV0=",
    "{PLAIN.hex}73656372657",
    "{PLAIN.hex}7365637265xx",
    "{CRAM-MD5}0102",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/Bf==",
    "{SHA}c2VjcmV0",
    "{SSHA}c2VjcmV0",
    "{PBKDF2}$1$NaCl$0$a67ce53690def3438a1fa9ec53b4261d1e1ee5c8",
    "{PBKDF2}$1$NaCl$99999999999$a67ce53690def3438a1fa9ec53b4261d1e1ee5c8",
    "{PBKDF2}$1$NaCl$5000$a67c",
    "{PBKDF2}$1$NaCl",
    "{SCRAM-SHA-1}4096,c2FsdHNhbHQ=,RgEqzzKLKVeLA7GvEwcwrTiMvYA=",
    "{SCRAM-SHA-1}0,c2FsdHNhbHQ=,RgEqzzKLKVeLA7GvEwcwrTiMvYA=,BGJ3kaHb4Tscas0mjhXJHF+aw/s=",
    "{SCRAM-SHA-1}4096,,RgEqzzKLKVeLA7GvEwcwrTiMvYA=,BGJ3kaHb4Tscas0mjhXJHF+aw/s=",
    "{SCRAM-SHA-1}99999999,c2FsdHNhbHQ=,RgEqzzKLKVeLA7GvEwcwrTiMvYA=,BGJ3kaHb4Tscas0mjhXJHF+aw/s=",
    "{SCRAM-SHA-256}4096,c2FsdHNhbHQ=,RgEqzzKLKVeLA7GvEwcwrTiMvYA=,BGJ3kaHb4Tscas0mjhXJHF+aw/s=",
    /* More memory, or more passes, than a stored hash may ask for. */
    "{ARGON2ID}$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "{ARGON2ID}$argon2id$v=19$m=1048576,t=4000000000,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=0$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "{ARGON2ID}nonsense",
    "$9$unknown$x",
};

static void test_check(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(of_secret); i++) {
        enum password_match right = password_hash_check(str_from(of_secret[i]), STR("secret"));
        enum password_match wrong = password_hash_check(str_from(of_secret[i]), STR("Secret"));
        if (right != PASSWORD_RIGHT || wrong != PASSWORD_WRONG) fail_msg("%s: %d %d", of_secret[i], right, wrong);
        assert_int_equal(password_hash_check(str_from(of_secret[i]), STR_EMPTY), PASSWORD_WRONG);
        assert_int_equal(password_hash_check(str_from(of_secret[i]), str_make("secret\0x", 8)), PASSWORD_WRONG);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(unreadable); i++) {
        enum password_match match = password_hash_check(str_from(unreadable[i]), STR("secret"));
        if (match != PASSWORD_UNREADABLE) fail_msg("%s: %d", unreadable[i], match);
    }
}

static void test_long_password(void **state) {
    struct buf password = buf_make(0);
    (void)state;
    while (password.length <= PASSWORD_LENGTH_MAX)
        buf_append_char(&password, 'x');
    assert_int_equal(password_hash_check(STR("{PLAIN}x"), buf_str(&password)), PASSWORD_WRONG);
    buf_free(&password);
}

static void test_make(void **state) {
    struct str word, rest = password_hash_schemes();
    struct failure failure;
    (void)state;
    while (str_next_word(&rest, " ", &word)) {
        struct buf secret = buf_make(0);
        if (!password_hash_make(word, STR("p:w d"), &secret, &failure)) fail_msg("%.*s", STR_ARGS(word));
        assert_int_equal(password_hash_check(buf_str(&secret), STR("p:w d")), PASSWORD_RIGHT);
        assert_int_equal(password_hash_check(buf_str(&secret), STR("p:w")), PASSWORD_WRONG);
        /* It is one field of a passwd-file. */
        assert_true(str_find(buf_str(&secret), ' ') == STR_NONE && str_find(buf_str(&secret), ':') == STR_NONE);
        buf_free(&secret);
    }
    struct buf secret = buf_make(0);
    assert_false(password_hash_make(STR("DES-CRYPT"), STR("x"), &secret, &failure));
    assert_false(password_hash_make(STR("SHA"), STR("x"), &secret, &failure));
    assert_false(password_hash_make(STR("NONE"), STR("x"), &secret, &failure));
    assert_false(password_hash_make(STR("PLAIN"), STR(""), &secret, &failure));
    assert_false(password_hash_make(STR("PLAIN"), str_make("a\0b", 3), &secret, &failure));
    assert_int_equal(secret.length, 0);
    buf_free(&secret);
}

static void test_kinds(void **state) {
    struct buf plain = buf_make(0);
    struct scram_keys keys;
    (void)state;
    assert_true(password_hash_has_scram(STR("{PLAIN}x"), STR("SHA-1")));
    assert_true(password_hash_has_scram(STR("{SCRAM-SHA-1}rest:1:2"), STR("SHA-1")));
    assert_false(password_hash_has_scram(STR("{SCRAM-SHA-1}rest"), STR("SHA-256")));
    assert_false(password_hash_has_scram(STR("{SSHA}x"), STR("SHA-1")));
    assert_false(password_hash_has_scram(STR("$6$x"), STR("SHA-1")));
    assert_true(password_hash_plain(STR("{PLAIN.b64}c2VjcmV0"), &plain));
    assert_string_equal(buf_string(&plain), "secret");
    assert_false(password_hash_plain(STR("$6$x"), &plain));
    assert_true(scram_keys_read(STR("{SCRAM-SHA-1}4096,c2FsdHNhbHQ=,RgEqzzKLKVeLA7GvEwcwrTiMvYA=,"
                                    "BGJ3kaHb4Tscas0mjhXJHF+aw/s="),
                                STR("SHA-1"), &keys));
    assert_int_equal(keys.iterations, 4096);
    assert_int_equal(keys.salt_length, 8);
    assert_memory_equal(keys.salt, "saltsalt", 8);
    assert_false(scram_keys_read(STR("{PLAIN}x"), STR("SHA-1"), &keys));
    assert_false(scram_keys_read(STR("{SCRAM-SHA-1}4096"), STR("SHA-1"), &keys));
    buf_free(&plain);
}

static const struct {
    const char *digest, *password, *salt;
    const char *message, *proof, *signature;
} scram_examples[] = {
    /* RFC 5802 section 5 */
    {"SHA-1", "pencil", "QSXCR+Q6sek8bf92",
     "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
     "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    /* RFC 7677 section 3 */
    {"SHA-256", "pencil", "W22ZaJ0SNY7soEsUEjb6gQ==",
     "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
     "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

static void test_scram(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(scram_examples); i++) {
        struct str digest = str_from(scram_examples[i].digest), message = str_from(scram_examples[i].message);
        struct buf salt = buf_make(0), proof = buf_make(0), signature = buf_make(0);
        struct scram_keys keys = {.iterations = 4096};
        uint8_t made[SCRAM_KEY_MAX];
        assert_true(base64_decode(&salt, str_from(scram_examples[i].salt)));
        assert_true(base64_decode(&proof, str_from(scram_examples[i].proof)));
        memcpy(keys.salt, salt.data, salt.length);
        keys.salt_length = salt.length;
        assert_true(scram_keys_derive(digest, str_from(scram_examples[i].password), &keys));
        assert_true(scram_proof_is_right(digest, &keys, message, buf_str(&proof)));
        assert_true(scram_sign(digest, &keys, message, made));
        assert_true(base64_encode(&signature, str_make((char *)made, keys.size)));
        assert_string_equal(buf_string(&signature), scram_examples[i].signature);
        proof.data[0] ^= 1;
        assert_false(scram_proof_is_right(digest, &keys, message, buf_str(&proof)));
        assert_false(scram_proof_is_right(digest, &keys, message, STR_EMPTY));
        buf_free(&salt);
        buf_free(&proof);
        buf_free(&signature);
    }
    struct scram_keys keys = {.iterations = 0, .salt_length = 1};
    assert_false(scram_keys_derive(STR("SHA-1"), STR("x"), &keys));
    keys.iterations = 1;
    assert_false(scram_keys_derive(STR("MD5"), STR("x"), &keys));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check), cmocka_unit_test(test_long_password), cmocka_unit_test(test_make),
        cmocka_unit_test(test_kinds), cmocka_unit_test(test_scram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
