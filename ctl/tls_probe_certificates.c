/* What a server's certificates say, for tern tls-probe. */
#include "buf.h"
#include "log_text.h"
#include "tls_probe.h"
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CHAIN_MAX 20
#define NAMES_MAX 50

/* Strangers choose these texts. */
static void print_safe(const char *label, struct str text) {
    struct buf safe = buf_make(0);
    log_text_append(&safe, text, 900);
    printf("  %s: %.*s\n", label, STR_ARGS(buf_str(&safe)));
    buf_free(&safe);
}

static void print_name(const char *label, const X509_NAME *name) {
    BIO *text = BIO_new(BIO_s_mem());
    char *data = NULL;
    if (!text) return;
    X509_NAME_print_ex(text, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    long length = BIO_get_mem_data(text, &data);
    if (length > 0) print_safe(label, str_make(data, (size_t)length));
    BIO_free(text);
}

static void print_time(const char *label, const ASN1_TIME *time) {
    BIO *text = BIO_new(BIO_s_mem());
    char *data = NULL;
    if (!text) return;
    long length = ASN1_TIME_print(text, time) ? BIO_get_mem_data(text, &data) : 0;
    if (length > 0) print_safe(label, str_make(data, (size_t)length));
    BIO_free(text);
}

static void print_alternatives(const X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    struct buf list = buf_make(4000);
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && i < NAMES_MAX; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS) continue;
        buf_printf(&list, "%s%.*s", list.length ? ", " : "", ASN1_STRING_length(name->d.dNSName),
                   (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    if (list.length) print_safe("names", buf_str(&list));
    buf_free(&list);
}

static void print_digest(const char *label, const unsigned char *data, size_t length, const char *digest) {
    unsigned char value[EVP_MAX_MD_SIZE];
    size_t got = 0;
    if (EVP_Q_digest(NULL, digest, NULL, data, length, value, &got) != 1) return;
    printf("  %s (%s): ", label, digest);
    for (size_t i = 0; i < got; i++)
        printf("%s%02X", i ? ":" : "", value[i]);
    putchar('\n');
}

static void print_fingerprints(X509 *certificate, const char *digest) {
    unsigned char *der = NULL, *key = NULL;
    int length = i2d_X509(certificate, &der), key_length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    if (length > 0) print_digest("fingerprint", der, (size_t)length, digest);
    if (key_length > 0) print_digest("public key", key, (size_t)key_length, digest);
    OPENSSL_free(der);
    OPENSSL_free(key);
}

static void print_certificate(X509 *certificate, const char *digest) {
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    print_name("subject", X509_get_subject_name(certificate));
    print_name("issuer", X509_get_issuer_name(certificate));
    print_alternatives(certificate);
    print_time("good from", X509_get0_notBefore(certificate));
    print_time("good until", X509_get0_notAfter(certificate));
    if (key) printf("  key: %s, %d bits\n", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
    print_fingerprints(certificate, digest);
}

/* Whether the record is of this certificate: the whole or the key, itself or a digest of it. */
static bool fits(const struct tls_tlsa *record, X509 *certificate) {
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    int length =
        record->selector ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der) : i2d_X509(certificate, &der);
    struct str data = STR_EMPTY;
    size_t got = 0;
    if (length <= 0) return false;
    if (record->matching == 0)
        data = str_make((const char *)der, (size_t)length);
    else if (EVP_Q_digest(NULL, record->matching == 1 ? "SHA256" : "SHA512", NULL, der, (size_t)length, digest, &got))
        data = str_make((const char *)digest, got);
    bool good = str_equal(data, record->data);
    OPENSSL_free(der);
    return good;
}

static void print_record(const struct tls_tlsa *record, X509 *const *chain, int count) {
    int depth = 0;
    while (depth < count && !fits(record, chain[depth]))
        depth++;
    printf("  TLSA %u %u %u ", record->usage, record->selector, record->matching);
    for (size_t i = 0; i < record->data.length && i < 16; i++)
        printf("%02x", (unsigned char)record->data.data[i]);
    fputs(record->data.length > 16 ? "...: " : ": ", stdout);
    if (depth == count)
        puts("of no certificate that the server sent");
    else if (record->usage == 3 && depth > 0)
        printf("of the certificate at depth %d, where usage 3 does not count\n", depth);
    else
        printf("of the certificate at depth %d\n", depth);
}

void probe_print_chain(struct str pem, const struct tls_plan *plan, const char *digest) {
    X509 *chain[CHAIN_MAX];
    int count = 0;
    BIO *text = BIO_new_mem_buf(pem.data, (int)pem.length);
    while (text && count < CHAIN_MAX && (chain[count] = PEM_read_bio_X509(text, NULL, NULL, NULL)) != NULL)
        count++;
    BIO_free(text);
    if (count) print_certificate(chain[0], digest);
    if (count > 1) printf("  certificates sent: %d\n", count);
    for (size_t i = 0; i < plan->session.tlsa_count; i++)
        print_record(&plan->session.tlsa[i], chain, count);
    while (count > 0)
        X509_free(chain[--count]);
}
