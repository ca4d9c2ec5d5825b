/* tls_signed: does a TLS handshake ask for this to be signed?
 *
 * A process that signs for others signs nothing else, so that a certificate
 * request, a document or another protocol's challenge gets no signature from it.
 * TLS 1.3 makes that plain: what is signed begins with 64 spaces and a sentence
 * (RFC 8446 section 4.4.3). In TLS 1.2 a server signs 64 octets that can be
 * anything and its key exchange parameters, which have a shape (RFC 8422 section
 * 5.4, RFC 5246 section 7.4.3); a client signs the handshake so far (section
 * 7.4.8). Pure. */
#ifndef TERN_TLS_SIGNED_H
#define TERN_TLS_SIGNED_H

#include "str.h"

enum tls_signed {
    TLS_SIGNED_BY_NOBODY,
    TLS_SIGNED_BY_SERVER,
    TLS_SIGNED_BY_CLIENT,
};

/* Which side of a handshake would have such content signed. */
enum tls_signed tls_signed_content(struct str content);

#endif
