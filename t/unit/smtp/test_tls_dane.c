/* tls_dane: which TLSA records SMTP may go by (RFC 7672 section 3.1), on certificates made here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "buf.h"
#include "tls_dane.h"
#include <openssl/evp.h>
#include <openssl/x509.h>

static struct buf certificate, key;

static int make_certificate(void **state) {
    (void)state;
    EVP_PKEY *made = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    unsigned char *der = NULL;
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, made);
    X509_sign(x509, made, EVP_sha256());
    int length = i2d_X509(x509, &der);
    buf_append_bytes(&certificate, der, (size_t)length);
    OPENSSL_free(der);
    der = NULL;
    length = i2d_PUBKEY(made, &der);
    buf_append_bytes(&key, der, (size_t)length);
    OPENSSL_free(der);
    X509_free(x509);
    EVP_PKEY_free(made);
    return 0;
}

static int free_certificate(void **state) {
    (void)state;
    buf_free(&certificate);
    buf_free(&key);
    return 0;
}

enum content { DIGEST32, DIGEST64, DIGEST31, NOTHING, CERTIFICATE, KEY, CUT, MORE };

static const struct {
    uint8_t usage, selector, matching;
    enum content content;
    bool good;
} cases[] = {
    {3, 1, 1, DIGEST32, true},    {3, 0, 1, DIGEST32, true},    {2, 0, 1, DIGEST32, true},
    {2, 1, 1, DIGEST32, true},    {3, 1, 2, DIGEST64, true},    {2, 0, 2, DIGEST64, true},
    {3, 0, 0, CERTIFICATE, true}, {2, 0, 0, CERTIFICATE, true}, {3, 1, 0, KEY, true},
    {2, 1, 0, KEY, true},         {0, 1, 1, DIGEST32, false},   {1, 1, 1, DIGEST32, false},
    {4, 1, 1, DIGEST32, false},   {255, 1, 1, DIGEST32, false}, {3, 2, 1, DIGEST32, false},
    {3, 255, 1, DIGEST32, false}, {3, 1, 3, DIGEST32, false},   {3, 1, 255, DIGEST32, false},
    {3, 1, 1, DIGEST64, false},   {3, 1, 2, DIGEST32, false},   {3, 1, 1, DIGEST31, false},
    {3, 1, 1, NOTHING, false},    {3, 1, 0, NOTHING, false},    {3, 1, 0, CERTIFICATE, false},
    {3, 0, 0, KEY, false},        {3, 0, 0, CUT, false},        {3, 0, 0, MORE, false},
    {3, 0, 0, DIGEST32, false},
};

static void add_content(struct buf *data, enum content content) {
    char digest[64] = {7};
    switch (content) {
    case DIGEST32:
        buf_append_bytes(data, digest, 32);
        break;
    case DIGEST64:
        buf_append_bytes(data, digest, 64);
        break;
    case DIGEST31:
        buf_append_bytes(data, digest, 31);
        break;
    case NOTHING:
        break;
    case CERTIFICATE:
        buf_append(data, buf_str(&certificate));
        break;
    case KEY:
        buf_append(data, buf_str(&key));
        break;
    case CUT:
        buf_append(data, str_slice(buf_str(&certificate), 0, certificate.length - 1));
        break;
    case MORE:
        buf_append(data, buf_str(&certificate));
        buf_append_char(data, 'x');
        break;
    }
}

static void test_records(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf data = buf_make(0);
        struct tls_tlsa record = {9, 9, 9, STR_EMPTY};
        buf_append_char(&data, (char)cases[i].usage);
        buf_append_char(&data, (char)cases[i].selector);
        buf_append_char(&data, (char)cases[i].matching);
        add_content(&data, cases[i].content);
        bool good = tls_dane_read(buf_str(&data), &record);
        if (good != cases[i].good)
            fail_msg("%u %u %u content %d: %d", cases[i].usage, cases[i].selector, cases[i].matching,
                     (int)cases[i].content, good);
        assert_int_equal(record.usage, good ? cases[i].usage : 9);
        assert_int_equal(record.data.length, good ? data.length - 3 : 0);
        buf_free(&data);
    }
    struct tls_tlsa record;
    assert_false(tls_dane_read(STR_EMPTY, &record));
    assert_false(tls_dane_read(STR("\3\1\1"), &record));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_records)};
    return cmocka_run_group_tests(tests, make_certificate, free_certificate);
}
