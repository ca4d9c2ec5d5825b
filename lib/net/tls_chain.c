/* Reading PEM texts, object by object. */
#include "tls_chain.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

#include "memory.h"

/* ---- lists */

static void identity_free(struct tls_identity *identity) {
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    buf_free(&identity->pem);
    *identity = (struct tls_identity){0};
}

void tls_identities_free(struct tls_identities *list) {
    while (list->count > 0)
        identity_free(&list->items[--list->count]);
    *list = (struct tls_identities){0};
}

static struct tls_identity *begin(struct tls_identities *list, struct failure *failure) {
    if (list->count == TLS_IDENTITY_LIMIT) {
        failure_set(failure, "more than %d certificates with keys", TLS_IDENTITY_LIMIT);
        return NULL;
    }
    struct tls_identity *identity = &list->items[list->count++];
    *identity = (struct tls_identity){.pem = buf_make(TLS_CHAIN_PEM_LIMIT)};
    list->complete = false;
    return identity;
}

bool tls_identities_add(struct tls_identities *list, const struct tls_identities *others) {
    size_t count = others->count; /* which may be the same list */
    if (list->count + count > TLS_IDENTITY_LIMIT) return false;
    for (size_t i = 0; i < count; i++) {
        const struct tls_identity *from = &others->items[i];
        struct tls_identity *to = &list->items[list->count++];
        *to = *from;
        to->pem = buf_make(TLS_CHAIN_PEM_LIMIT);
        buf_append(&to->pem, buf_str(&from->pem));
        if (to->certificate) X509_up_ref(to->certificate);
        if (to->key) EVP_PKEY_up_ref(to->key);
    }
    return true;
}

/* ---- keys */

static bool is_served(const EVP_PKEY *key) {
    return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS") || EVP_PKEY_is_a(key, "EC") ||
           EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
}

static bool add_key(struct tls_identities *list, EVP_PKEY *key, struct failure *failure) {
    struct tls_identity *last = list->count > 0 ? &list->items[list->count - 1] : NULL;
    if (!is_served(key)) {
        failure_set(failure, "a private key of the kind %s: RSA, ECDSA or EdDSA would be right",
                    EVP_PKEY_get0_type_name(key));
        EVP_PKEY_free(key);
        return false;
    }
    bool belongs = last && !last->key;
    if (!belongs) last = begin(list, failure);
    if (!last) {
        EVP_PKEY_free(key);
        return false;
    }
    last->key = key;
    last->key_source = list->source;
    list->complete = belongs;
    return true;
}

static bool read_key(struct tls_identities *list, const char *kind, const char *header, const unsigned char *der,
                     long length, struct failure *failure) {
    if (strstr(header, "ENCRYPTED") || strcmp(kind, PEM_STRING_PKCS8) == 0)
        return failure_set(failure, "the private key is encrypted: one without a password would be right "
                                    "(openssl pkey -in OLD -out NEW)");
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, length);
    return key ? add_key(list, key, failure) : failure_set(failure, "the private key cannot be read");
}

/* ---- certificates */

static bool append_pem(struct buf *pem, X509 *certificate) {
    BIO *memory = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    bool good = memory && PEM_write_bio_X509(memory, certificate);
    long length = good ? BIO_get_mem_data(memory, &bytes) : 0;
    good = good && length > 0 && buf_append_bytes(pem, bytes, (size_t)length);
    BIO_free(memory);
    return good;
}

static bool read_certificate(struct tls_identities *list, const unsigned char *der, long length,
                             struct failure *failure) {
    X509 *certificate = d2i_X509(NULL, &der, length);
    struct tls_identity *last = list->count > 0 ? &list->items[list->count - 1] : NULL;
    if (!certificate) return failure_set(failure, "a certificate cannot be read");
    if (!last || list->complete) last = begin(list, failure);
    bool good = last != NULL;
    if (good) good = append_pem(&last->pem, certificate) || failure_set(failure, "the certificates are too long");
    if (good && !last->certificate) {
        last->certificate = certificate;
        last->certificate_source = list->source;
        return true;
    }
    X509_free(certificate);
    return good;
}

/* ---- texts */

static bool read_object(struct tls_identities *list, const char *kind, const char *header, const unsigned char *der,
                        long length, size_t *met, struct failure *failure) {
    size_t end = strlen(kind);
    bool is_certificate = strcmp(kind, PEM_STRING_X509) == 0 || strcmp(kind, PEM_STRING_X509_OLD) == 0;
    bool is_key = end >= 11 && strcmp(kind + end - 11, "PRIVATE KEY") == 0;
    if (!is_certificate && !is_key) return true; /* parameters, requests, lists: not for us */
    ++*met;
    return is_key ? read_key(list, kind, header, der, length, failure) : read_certificate(list, der, length, failure);
}

bool tls_identities_read(struct tls_identities *list, struct str text, struct failure *failure) {
    const unsigned flags = PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE;
    size_t met = 0;
    bool good = text.length <= INT32_MAX || failure_set(failure, "the text is too long");
    ERR_clear_error();
    BIO *memory = good ? BIO_new_mem_buf(text.data, (int)text.length) : NULL;
    while (good && memory) {
        char *kind = NULL, *header = NULL;
        unsigned char *der = NULL;
        long length = 0;
        if (!PEM_read_bio_ex(memory, &kind, &header, &der, &length, flags)) {
            /* No further object is the ordinary end. */
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                good = failure_set(failure, "it is not PEM as it should be: %s",
                                   ERR_reason_error_string(ERR_peek_last_error()));
            break;
        }
        good = read_object(list, kind, header, der, length, &met, failure);
        OPENSSL_secure_free(kind);
        OPENSSL_secure_free(header);
        OPENSSL_secure_clear_free(der, (size_t)length);
    }
    BIO_free(memory);
    ERR_clear_error();
    return good && (met > 0 || failure_set(failure, "there is neither a certificate nor a private key in it (PEM)"));
}

static bool finish_one(struct tls_identity *identity, struct failure *failure) {
    if (!identity->certificate) return failure_set(failure, "a private key without its certificate");
    if (!identity->key) return failure_set(failure, "a certificate without its private key");
    if (X509_check_private_key(identity->certificate, identity->key) != 1)
        return failure_set(failure,
                           "the private key does not fit the certificate: the %s key of the first certificate "
                           "would be right",
                           tls_identity_kind(identity));
    return tls_key_name(identity->key, identity->name) || failure_set(failure, "the key cannot be encoded");
}

bool tls_identities_finish(struct tls_identities *list, size_t *bad, struct failure *failure) {
    bool good = list->count > 0 || failure_set(failure, "no certificate");
    if (bad) *bad = 0;
    for (size_t i = 0; good && i < list->count; i++) {
        good = finish_one(&list->items[i], failure);
        if (!good && bad) *bad = i;
    }
    ERR_clear_error();
    return good;
}

/* ---- what a certificate says */

const char *tls_identity_kind(const struct tls_identity *identity) {
    static const struct {
        const char *name, *shown;
    } kinds[] = {{"RSA", "RSA"}, {"RSA-PSS", "RSA-PSS"}, {"EC", "ECDSA"}, {"ED25519", "Ed25519"}, {"ED448", "Ed448"}};
    const EVP_PKEY *key = identity->certificate ? X509_get0_pubkey(identity->certificate) : identity->key;
    for (size_t i = 0; key && i < ARRAY_LENGTH(kinds); i++)
        if (EVP_PKEY_is_a(key, kinds[i].name)) return kinds[i].shown;
    return "unknown";
}

static bool date_of(const ASN1_TIME *time, int64_t *seconds) {
    struct tm parts;
    if (!time || !ASN1_TIME_to_tm(time, &parts)) return false;
    *seconds = (int64_t)timegm(&parts);
    return true;
}

bool tls_identity_dates(const struct tls_identity *identity, int64_t *from, int64_t *until) {
    int64_t begin_date, end_date;
    if (!identity->certificate || !date_of(X509_get0_notBefore(identity->certificate), &begin_date) ||
        !date_of(X509_get0_notAfter(identity->certificate), &end_date))
        return false;
    *from = begin_date;
    *until = end_date;
    return true;
}
