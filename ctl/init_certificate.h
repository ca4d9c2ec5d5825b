/* init_certificate: a key and a certificate that it signs itself, for a private instance. */
#ifndef TERN_CTL_INIT_CERTIFICATE_H
#define TERN_CTL_INIT_CERTIFICATE_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"

/* An ECDSA key (P-256) and a certificate for host.domain, domain and this machine's loopback names, good for ten
 * years, which is its own authority. chain gets both, certificate the latter; PEM, appended. */
MUST_USE bool init_certificate_make(const char *host, const char *domain, struct buf *chain, struct buf *certificate,
                                    struct failure *failure);

#endif
