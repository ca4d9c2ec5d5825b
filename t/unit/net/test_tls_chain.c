/* Unit tests of keys and certificates out of PEM texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>

#include "certificates.h"
#include "memory.h"
#include "tls_chain.h"

static struct made_certificate authority, ecdsa, rsa, edwards;
static struct buf key_of[3];

static void write_key(EVP_PKEY *key, const char *password, bool old_form, struct buf *out) {
    BIO *memory = BIO_new(BIO_s_mem());
    char *bytes;
    const EVP_CIPHER *cipher = password ? EVP_aes_128_cbc() : NULL;
    const unsigned char *words = (const unsigned char *)password;
    int length = password ? (int)strlen(password) : 0;
    if (old_form)
        assert_true(PEM_write_bio_PrivateKey_traditional(memory, key, cipher, words, length, NULL, NULL));
    else
        assert_true(PEM_write_bio_PKCS8PrivateKey(memory, key, cipher, password, length, NULL, NULL));
    long size = BIO_get_mem_data(memory, &bytes);
    buf_append_bytes(out, bytes, (size_t)size);
    BIO_free(memory);
}

static int make_all(void **state) {
    (void)state;
    authority = make_certificate("EC", "authority", NULL, -60, 86400, NULL, 1);
    ecdsa = make_certificate("EC", "a.test", "DNS:a.test", -60, 3600, &authority, 0);
    rsa = make_certificate("RSA", "a.test", "DNS:a.test", -60, 7200, &authority, 0);
    edwards = make_certificate("ED25519", "a.test", "DNS:a.test", -60, 3600, &authority, 0);
    write_key(ecdsa.key, NULL, false, &key_of[0]);
    write_key(rsa.key, NULL, false, &key_of[1]);
    write_key(edwards.key, NULL, false, &key_of[2]);
    return 0;
}

static int free_all(void **state) {
    (void)state;
    free_certificate(&authority);
    free_certificate(&ecdsa);
    free_certificate(&rsa);
    free_certificate(&edwards);
    for (size_t i = 0; i < 3; i++)
        buf_free(&key_of[i]);
    return 0;
}

/* Letters: e r d certificates, E R D keys, a the authority's, | the next text, x a line of prose, p EC PARAMETERS. */
static bool read_pieces(const char *pieces, struct tls_identities *list, struct failure *failure) {
    struct buf text = {0};
    bool good = true;
    for (const char *piece = pieces;; piece++) {
        switch (*piece) {
        case 'e':
            buf_append(&text, buf_str(&ecdsa.pem));
            break;
        case 'r':
            buf_append(&text, buf_str(&rsa.pem));
            break;
        case 'd':
            buf_append(&text, buf_str(&edwards.pem));
            break;
        case 'a':
            buf_append(&text, buf_str(&authority.pem));
            break;
        case 'E':
            buf_append(&text, buf_str(&key_of[0]));
            break;
        case 'R':
            buf_append(&text, buf_str(&key_of[1]));
            break;
        case 'D':
            buf_append(&text, buf_str(&key_of[2]));
            break;
        case 'x':
            buf_append(&text, STR("a line that openssl x509 -text would write\n"));
            break;
        case 'p':
            buf_append(&text, STR("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"));
            break;
        default:
            good = good && tls_identities_read(list, buf_str(&text), failure);
            list->source++;
            buf_clear(&text);
        }
        if (!*piece) break;
    }
    buf_free(&text);
    return good && tls_identities_finish(list, NULL, failure);
}

static void test_orders(void **state) {
    static const struct {
        const char *pieces, *kinds, *failure;
    } table[] = {
        {"Ee", "ECDSA", NULL},
        {"eE", "ECDSA", NULL},
        {"Eea", "ECDSA", NULL},
        {"eaE", "ECDSA", NULL},
        {"E|e", "ECDSA", NULL},
        {"ea|E", "ECDSA", NULL},
        {"pEea", "ECDSA", NULL},
        {"xExexax", "ECDSA", NULL},
        {"EeaRra", "ECDSA RSA", NULL},
        {"Eea|Rra", "ECDSA RSA", NULL},
        {"eaEraR", "ECDSA RSA", NULL},
        {"ea|E|ra|R", "ECDSA RSA", NULL},
        {"RreE", NULL, "a private key without its certificate"},
        {"DdaRraEe", "Ed25519 RSA ECDSA", NULL},
        {"e", NULL, "a certificate without its private key"},
        {"E", NULL, "a private key without its certificate"},
        {"Er", NULL,
         "the private key does not fit the certificate: the RSA key of the first certificate would be right"},
        {"Eae", NULL,
         "the private key does not fit the certificate: the ECDSA key of the first certificate would be right"},
        {"x", NULL, "there is neither a certificate nor a private key in it (PEM)"},
        {"", NULL, "there is neither a certificate nor a private key in it (PEM)"},
        {"EeEeEeEeEeEeEeEeEe", NULL, "more than 8 certificates with keys"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct tls_identities list = {0};
        struct failure failure = {0};
        struct buf kinds = {0};
        bool good = read_pieces(table[i].pieces, &list, &failure);
        if (good != (table[i].kinds != NULL)) print_error("%s: %s\n", table[i].pieces, failure.text);
        assert_int_equal(good, table[i].kinds != NULL);
        for (size_t j = 0; good && j < list.count; j++) {
            uint8_t name[TLS_KEY_NAME_SIZE];
            buf_printf(&kinds, "%s%s", j ? " " : "", tls_identity_kind(&list.items[j]));
            assert_true(tls_key_name(X509_get0_pubkey(list.items[j].certificate), name));
            assert_memory_equal(name, list.items[j].name, sizeof name);
        }
        if (good)
            assert_string_equal(buf_string(&kinds), table[i].kinds);
        else
            assert_string_equal(failure.text, table[i].failure);
        buf_free(&kinds);
        tls_identities_free(&list);
    }
}

static void test_encrypted(void **state) {
    (void)state;
    for (int old_form = 0; old_form < 2; old_form++) {
        struct tls_identities list = {0};
        struct failure failure = {0};
        struct buf text = {0};
        write_key(rsa.key, "secret", old_form, &text);
        buf_append(&text, buf_str(&rsa.pem));
        assert_false(tls_identities_read(&list, buf_str(&text), &failure));
        assert_non_null(strstr(failure.text, "encrypted"));
        tls_identities_free(&list);
        buf_free(&text);
    }
}

static void test_old_form(void **state) {
    (void)state;
    struct tls_identities list = {0};
    struct failure failure = {0};
    struct buf text = {0};
    write_key(rsa.key, NULL, true, &text);
    buf_append(&text, buf_str(&rsa.pem));
    write_key(ecdsa.key, NULL, true, &text);
    buf_append(&text, buf_str(&ecdsa.pem));
    assert_true(tls_identities_read(&list, buf_str(&text), &failure));
    assert_true(tls_identities_finish(&list, NULL, &failure));
    assert_int_equal(list.count, 2);
    tls_identities_free(&list);
    buf_free(&text);
}

/* DSA, and what looks like PEM but is not. */
static void test_bad(void **state) {
    static const char *const texts[] = {
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMIIB\n",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END PRIVATE KEY-----\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct tls_identities list = {0};
        struct failure failure = {0};
        assert_false(tls_identities_read(&list, str_from(texts[i]), &failure));
        assert_true(failure.text[0] != '\0');
        tls_identities_free(&list);
    }
}

static void test_dates_and_sharing(void **state) {
    (void)state;
    struct tls_identities list = {0}, other = {0};
    struct failure failure = {0};
    int64_t from = 0, until = 0;
    assert_true(read_pieces("EeaRra", &list, &failure));
    assert_true(tls_identity_dates(&list.items[1], &from, &until));
    assert_int_equal(until - from, 7260);
    assert_true(tls_identities_add(&other, &list));
    tls_identities_free(&list);
    assert_int_equal(other.count, 2);
    assert_true(tls_identities_finish(&other, NULL, &failure));
    assert_true(str_ends(buf_str(&other.items[1].pem), buf_str(&authority.pem)));
    for (size_t i = 0; i < 3; i++)
        assert_true(tls_identities_add(&other, &other) == (i < 2));
    tls_identities_free(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders), cmocka_unit_test(test_encrypted),         cmocka_unit_test(test_old_form),
        cmocka_unit_test(test_bad),    cmocka_unit_test(test_dates_and_sharing),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
