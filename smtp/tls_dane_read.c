/* One TLSA record: see tls_dane.h. */
#include "tls_dane.h"
#include <openssl/err.h>
#include <openssl/x509.h>

enum { USAGE_TRUST_ANCHOR = 2, USAGE_END_ENTITY = 3 };
enum { SELECTOR_CERTIFICATE = 0, SELECTOR_KEY = 1 };

/* The whole of the bytes is a certificate, or a public key, in DER. */
static bool is_object(uint8_t selector, struct str data) {
    const unsigned char *at = (const unsigned char *)data.data, *end = at + data.length;
    bool good;
    if (data.length > INT32_MAX) return false;
    ERR_clear_error();
    if (selector == SELECTOR_CERTIFICATE) {
        X509 *certificate = d2i_X509(NULL, &at, (long)data.length);
        good = certificate && at == end && X509_get0_pubkey(certificate);
        X509_free(certificate);
    } else {
        EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)data.length);
        good = key && at == end;
        EVP_PKEY_free(key);
    }
    ERR_clear_error();
    return good;
}

bool tls_dane_read(struct str data, struct tls_tlsa *record) {
    if (data.length < 4) return false;
    const uint8_t *bytes = (const uint8_t *)data.data;
    struct tls_tlsa read = {bytes[0], bytes[1], bytes[2], str_from_offset(data, 3)};
    if (read.usage != USAGE_TRUST_ANCHOR && read.usage != USAGE_END_ENTITY) return false;
    if (read.selector != SELECTOR_CERTIFICATE && read.selector != SELECTOR_KEY) return false;
    switch (read.matching) {
    case 0:
        if (!is_object(read.selector, read.data)) return false;
        break;
    case 1:
        if (read.data.length != 32) return false;
        break;
    case 2:
        if (read.data.length != 64) return false;
        break;
    default:
        return false;
    }
    *record = read;
    return true;
}
