/* certificate: keys, certificates and requests for certificates made here, for tern tls. PEM. */
#ifndef TERN_CTL_CERTIFICATE_H
#define TERN_CTL_CERTIFICATE_H

#include <openssl/evp.h>

#include "buf.h"
#include "compiler.h"
#include "failure.h"

struct certificate_hosts {
    const char *const *names; /* the first is the subject */
    size_t count;
};

/* algorithm: rsa, ecdsa, ed25519; size: bits of an RSA key or the name of a curve, NULL: 2048, P-256. */
MUST_USE EVP_PKEY *certificate_key(const char *algorithm, const char *size, struct failure *failure);
/* Appends a certificate that the key itself signs, good for ten years. */
MUST_USE bool certificate_self_signed(EVP_PKEY *key, struct certificate_hosts hosts, struct buf *pem,
                                      struct failure *failure);
/* Appends a request for a certificate (PKCS #10). */
MUST_USE bool certificate_request(EVP_PKEY *key, struct certificate_hosts hosts, struct buf *pem,
                                  struct failure *failure);
/* Appends the key, not encrypted (PKCS #8); the text is a secret. */
MUST_USE bool certificate_key_text(EVP_PKEY *key, struct buf *pem, struct failure *failure);

#endif
