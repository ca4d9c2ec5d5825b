/* tls_chain: certificates and private keys out of PEM texts.
 *
 * An identity is a private key, its certificate and the certificates of the
 * authorities above. A text may hold several, each key before or behind its
 * certificates, and several texts may be read as if they were one (Postfix's
 * smtpd_tls_chain_files). Keys are parsed into OpenSSL's secure heap where the process
 * has one. Pure: nothing is opened, no password is asked for. */
#ifndef TERN_TLS_CHAIN_H
#define TERN_TLS_CHAIN_H

#include "tls_key.h"

#define TLS_IDENTITY_LIMIT  8               /* in one list */
#define TLS_CHAIN_PEM_LIMIT ((size_t)30000) /* of the certificates of one */

struct tls_identity {
    X509 *certificate;                     /* the key's own; NULL until it was met */
    EVP_PKEY *key;                         /* NULL until it was met */
    struct buf pem;                        /* the certificates, the own first */
    size_t certificate_source, key_source; /* in which text they stood: list->source at that time */
    uint8_t name[TLS_KEY_NAME_SIZE];       /* of the key, once complete */
};

/* A zeroed struct is an empty list. */
struct tls_identities {
    struct tls_identity items[TLS_IDENTITY_LIMIT];
    size_t count;
    size_t source; /* the reader's number for the text it reads now */
    bool complete; /* the last one: its key came behind its certificates */
};

/* Reads a text to its end, adding to the list. False: failure says what is wrong (no PEM
 * at all, a key that is encrypted or of a kind that tern does not serve, too many). */
MUST_USE bool tls_identities_read(struct tls_identities *list, struct str text, struct failure *failure);
/* After the last text: each has a key and a certificate, and they belong together; names
 * are set. *bad, if not NULL, becomes the index of the one that is wrong. */
MUST_USE bool tls_identities_finish(struct tls_identities *list, size_t *bad, struct failure *failure);
/* Adds another's identities; keys and certificates are shared by reference. False if there is no room. */
MUST_USE bool tls_identities_add(struct tls_identities *list, const struct tls_identities *others);
/* Frees what is in it; it is empty then. Keys that nobody else holds are wiped. */
void tls_identities_free(struct tls_identities *list);

/* "RSA", "ECDSA", "Ed25519" ... */
const char *tls_identity_kind(const struct tls_identity *identity);
/* From when until when the certificate is valid, seconds since 1970; false if it does not say. */
MUST_USE bool tls_identity_dates(const struct tls_identity *identity, int64_t *from, int64_t *until);

#endif
