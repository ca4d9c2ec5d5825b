/* tls_key: a private key that is not here.
 *
 * OpenSSL is given an EVP_PKEY whose public part is a certificate's and whose
 * signatures are made by a function, which asks the process that holds the key
 * and may suspend the task meanwhile. Behind it is a provider of our own, built
 * in, with no more than what a TLS handshake needs: RSA (PKCS #1 v1.5 and PSS),
 * ECDSA and EdDSA signatures. It can neither decrypt nor export. */
#ifndef TERN_TLS_KEY_H
#define TERN_TLS_KEY_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"

#define TLS_KEY_NAME_SIZE 32 /* SHA-256 of the SubjectPublicKeyInfo's DER */

/* Signs content (not hashed yet) by a TLS SignatureScheme (RFC 8446 section 4.2.3);
 * appends the signature as it goes on the wire. May suspend the task. */
typedef bool tls_sign_function(void *context, struct str key_name, uint16_t scheme, struct str content,
                               struct buf *signature, struct failure *failure);

/* The name of a public key; false if it cannot be encoded. */
MUST_USE bool tls_key_name(EVP_PKEY *key, uint8_t name[TLS_KEY_NAME_SIZE]);
/* A key for the certificate that signs by the function. The caller frees it by
 * EVP_PKEY_free; function and context have to outlive it. NULL: failure says why. */
MUST_USE EVP_PKEY *tls_key_create(X509 *certificate, tls_sign_function *sign, void *context, struct failure *failure);
/* Signs with a key that is here, by the same numbers: for the process that holds
 * it, and for tests. False too if the scheme does not fit the key. */
MUST_USE bool tls_key_sign(EVP_PKEY *key, uint16_t scheme, struct str content, struct buf *signature,
                           struct failure *failure);

#endif
