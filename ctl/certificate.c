/* Making keys and certificates. */
#include "certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "str.h"

#define LIFETIME (3650L * 86400)

static bool fail(struct failure *failure, const char *what) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    failure_set(failure, "%s: %s", what, reason ? reason : "unknown reason");
    ERR_clear_error();
    return false;
}

EVP_PKEY *certificate_key(const char *algorithm, const char *size, struct failure *failure) {
    EVP_PKEY *key = NULL;
    uint64_t bits = 2048;
    if (strcmp(algorithm, "rsa") == 0) {
        if (size && (!str_to_u64(str_from(size), 16384, &bits) || bits < 2048))
            failure_set(failure, "an RSA key has 2048 to 16384 bits");
        else if (!(key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)))
            fail(failure, "cannot make an RSA key");
    } else if (strcmp(algorithm, "ecdsa") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", size ? size : "P-256");
        if (!key) fail(failure, "cannot make an ECDSA key");
    } else if (strcmp(algorithm, "ed25519") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        if (!key) fail(failure, "cannot make an Ed25519 key");
    } else {
        failure_set(failure, "there is no algorithm %s: rsa, ecdsa or ed25519 would be right", algorithm);
    }
    return key;
}

static const EVP_MD *digest_for(const EVP_PKEY *key) {
    return EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
}

static bool set_subject(X509_NAME *subject, const char *name) {
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1;
}

static X509_EXTENSION *make_extension(int kind, const char *value, X509 *certificate) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    return X509V3_EXT_conf_nid(NULL, &context, kind, value);
}

/* "DNS:a,DNS:b"; a name with a comma or colon in it is none. */
static bool alternative_names(struct certificate_hosts hosts, struct buf *text, struct failure *failure) {
    for (size_t i = 0; i < hosts.count; i++) {
        struct str name = str_from(hosts.names[i]);
        for (size_t j = 0; j < name.length; j++)
            if (!ascii_is_alnum(name.data[j]) && !strchr("-._*", name.data[j]))
                return failure_set(failure, "%s is no host name", hosts.names[i]);
        if (name.length == 0) return failure_set(failure, "an empty host name");
        buf_printf(text, "%sDNS:%s", i ? "," : "", hosts.names[i]);
    }
    return hosts.count > 0 || failure_set(failure, "no host name");
}

static bool take_text(BIO *memory, struct buf *pem) {
    char *bytes;
    long length = BIO_get_mem_data(memory, &bytes);
    return length > 0 && buf_append_bytes(pem, bytes, (size_t)length);
}

/* ---- certificates */

static bool add_extension(X509 *certificate, int kind, const char *value) {
    X509_EXTENSION *extension = make_extension(kind, value, certificate);
    bool added = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool set_serial(X509 *certificate) {
    BIGNUM *number = BN_new();
    bool set = number && BN_rand(number, 126, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return set;
}

static bool fill_certificate(X509 *certificate, EVP_PKEY *key, const char *host, const char *names) {
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), LIFETIME) &&
           set_subject(X509_get_subject_name(certificate), host) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
           X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(certificate, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, NID_subject_alt_name, names) && X509_sign(certificate, key, digest_for(key)) > 0;
}

bool certificate_self_signed(EVP_PKEY *key, struct certificate_hosts hosts, struct buf *pem, struct failure *failure) {
    struct buf names = buf_make(20000);
    X509 *made = X509_new();
    BIO *memory = BIO_new(BIO_s_mem());
    bool named = alternative_names(hosts, &names, failure);
    bool good = named && made && memory && fill_certificate(made, key, hosts.names[0], buf_string(&names)) &&
                PEM_write_bio_X509(memory, made) == 1 && take_text(memory, pem);
    if (named && !good) fail(failure, "cannot make a certificate");
    BIO_free(memory);
    X509_free(made);
    buf_free(&names);
    return good;
}

/* ---- requests */

static bool fill_request(X509_REQ *request, EVP_PKEY *key, const char *host, const char *names) {
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *extension = make_extension(NID_subject_alt_name, names, NULL);
    bool good = extensions && extension && sk_X509_EXTENSION_push(extensions, extension) > 0;
    if (good) extension = NULL;
    good = good && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
           set_subject(X509_REQ_get_subject_name(request), host) && X509_REQ_set_pubkey(request, key) == 1 &&
           X509_REQ_add_extensions(request, extensions) == 1 && X509_REQ_sign(request, key, digest_for(key)) > 0;
    X509_EXTENSION_free(extension);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return good;
}

bool certificate_request(EVP_PKEY *key, struct certificate_hosts hosts, struct buf *pem, struct failure *failure) {
    struct buf names = buf_make(20000);
    X509_REQ *made = X509_REQ_new();
    BIO *memory = BIO_new(BIO_s_mem());
    bool named = alternative_names(hosts, &names, failure);
    bool good = named && made && memory && fill_request(made, key, hosts.names[0], buf_string(&names)) &&
                PEM_write_bio_X509_REQ(memory, made) == 1 && take_text(memory, pem);
    if (named && !good) fail(failure, "cannot make a request for a certificate");
    BIO_free(memory);
    X509_REQ_free(made);
    buf_free(&names);
    return good;
}

bool certificate_key_text(EVP_PKEY *key, struct buf *pem, struct failure *failure) {
    BIO *memory = BIO_new(BIO_s_secmem());
    bool good =
        memory && PEM_write_bio_PKCS8PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) == 1 && take_text(memory, pem);
    BIO_free(memory);
    return good || fail(failure, "cannot write the key");
}
