/* keys: TLS as a server (or with a client certificate) whose private keys are held by
 * the keys process.
 *
 * A pool asks keys for the certificates of a server name when the first client
 * wants them, makes a context of them and keeps it. When keys says that something
 * on disk has changed, or its connection is lost, the pool begins anew over a new
 * connection; connections under way end with what they began with. */
#ifndef TERN_KEYS_H
#define TERN_KEYS_H

#include "service.h"
#include "tls.h"

enum keys_side { KEYS_SERVER = 0, KEYS_CLIENT = 1, KEYS_LMTP_CLIENT = 2 };

struct keys_pool;

/* options: all but chains, tickets' functions and for_name, which the pool fills in; texts are borrowed for as long
 * as the pool lives. Asks nothing yet. */
struct keys_pool *keys_pool_create(struct service *service, const struct tls_server_options *options);
/* The context for connections that begin now; the caller releases it. NULL: there is no
 * certificate, or keys does not answer (failure; temporary). Task context. */
MUST_USE struct tls_context *keys_pool_context(struct keys_pool *pool, deadline until, struct failure *failure);
/* The same for the SMTP client: options without chains. */
MUST_USE struct tls_context *keys_client_context(struct service *service, const struct tls_client_options *options,
                                                 deadline until, struct failure *failure);

#endif
