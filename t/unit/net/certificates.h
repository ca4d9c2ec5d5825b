/* certificates: keys and certificates made on the spot, for the unit tests of TLS. */
#ifndef TERN_TEST_CERTIFICATES_H
#define TERN_TEST_CERTIFICATES_H

#include <openssl/x509.h>

#include "buf.h"

struct made_certificate {
    EVP_PKEY *key;
    X509 *certificate;
    struct buf pem; /* the certificate; append others for a chain */
};

/* "EC" (P-256), "RSA" (2048 bits) or "ED25519". */
EVP_PKEY *make_test_key(const char *type);
/* name: subject CN. names: subjectAltName in OpenSSL's words ("DNS:a.example,DNS:*.b.example"), NULL: none.
 * from, to: seconds from now. issuer: NULL makes a self-signed one; authority: it may issue others. */
struct made_certificate make_certificate(const char *type, const char *name, const char *names, long from, long to,
                                         const struct made_certificate *issuer, int authority);
void free_certificate(struct made_certificate *made);

#endif
