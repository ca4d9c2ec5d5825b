/* init_certificate: see init_certificate.h. */
#include "init_certificate.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define LIFETIME (3650L * 86400)

static bool add_extension(X509 *certificate, int kind, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool added = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool set_serial(X509 *certificate) {
    BIGNUM *number = BN_new();
    bool set = number && BN_rand(number, 126, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return set;
}

static bool fill_in(X509 *certificate, EVP_PKEY *key, const char *host, const char *names) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), LIFETIME) &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, subject) == 1 && X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(certificate, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, NID_subject_alt_name, names) && X509_sign(certificate, key, EVP_sha256()) > 0;
}

static bool write_out(BIO *bio, struct buf *text) {
    char *data;
    long length = BIO_get_mem_data(bio, &data);
    return length > 0 && buf_append_bytes(text, data, (size_t)length);
}

bool init_certificate_make(const char *host, const char *domain, struct buf *chain, struct buf *certificate,
                           struct failure *failure) {
    struct buf names = buf_make(1000);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *made = X509_new();
    BIO *key_text = BIO_new(BIO_s_mem()), *text = BIO_new(BIO_s_mem());
    buf_printf(&names, "DNS:%s,DNS:%s,DNS:localhost,IP:127.0.0.1,IP:::1", host, domain);
    bool good = key && made && key_text && text && !buf_overflowed(&names) &&
                fill_in(made, key, host, buf_string(&names)) &&
                PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) == 1 &&
                PEM_write_bio_X509(text, made) == 1 && write_out(key_text, chain) && write_out(text, chain) &&
                write_out(text, certificate);
    if (!good)
        failure_set(failure, "cannot make a certificate for %s: %s", host, ERR_reason_error_string(ERR_peek_error()));
    BIO_free(text);
    BIO_free(key_text);
    X509_free(made);
    EVP_PKEY_free(key);
    buf_free(&names);
    return good;
}
