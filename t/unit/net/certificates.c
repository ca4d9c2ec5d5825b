/* certificates: made on the spot, for tests. */
#include "certificates.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

EVP_PKEY *make_test_key(const char *type) {
    EVP_PKEY *key = strcmp(type, "EC") == 0    ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                    : strcmp(type, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                                               : EVP_PKEY_Q_keygen(NULL, NULL, type);
    if (!key) abort();
    return key;
}

static void add_extension(X509 *certificate, X509V3_CTX *context, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    if (!extension || !X509_add_ext(certificate, extension, -1)) abort();
    X509_EXTENSION_free(extension);
}

static void set_name(X509 *certificate, const char *name) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (!X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0)) abort();
}

struct made_certificate make_certificate(const char *type, const char *name, const char *names, long from, long to,
                                         const struct made_certificate *issuer, int authority) {
    static long serial = 1;
    struct made_certificate made = {.key = make_test_key(type), .certificate = X509_new()};
    X509 *issuing = issuer ? issuer->certificate : made.certificate;
    EVP_PKEY *signer = issuer ? issuer->key : made.key;
    BIO *bio = BIO_new(BIO_s_mem());
    X509V3_CTX context;
    char *text;
    if (!made.certificate || !bio || X509_set_version(made.certificate, X509_VERSION_3) != 1) abort();
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), from);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), to);
    set_name(made.certificate, name);
    X509_set_issuer_name(made.certificate, X509_get_subject_name(issuing));
    X509_set_pubkey(made.certificate, made.key);
    X509V3_set_ctx(&context, issuing, made.certificate, NULL, NULL, 0);
    add_extension(made.certificate, &context, NID_basic_constraints, authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (names) add_extension(made.certificate, &context, NID_subject_alt_name, names);
    if (!X509_sign(made.certificate, signer, EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()))
        abort();
    PEM_write_bio_X509(bio, made.certificate);
    long length = BIO_get_mem_data(bio, &text);
    buf_append_bytes(&made.pem, text, (size_t)length);
    BIO_free(bio);
    return made;
}

void free_certificate(struct made_certificate *made) {
    EVP_PKEY_free(made->key);
    X509_free(made->certificate);
    buf_free(&made->pem);
}
