/* tls_session: sessions that a client keeps for the next connection.
 *
 * What goes out is the library's encoding behind a head of ours: what was expected of
 * the server then, as a digest, and what was found. A session is kept only where that was
 * as expected, and taken up again only where the same is expected, so a resumed connection is worth what the first was.
 */
#ifndef TERN_TLS_SESSION_H
#define TERN_TLS_SESSION_H

#include "tls_internal.h"

/* Has the client's context keep what servers give. */
void tls_session_callbacks(SSL_CTX *ssl);
/* Offers an exported session to the server; says nothing of one that does not fit. *carried: facts hold what the
 * connection it came from was judged to be, good if the server takes it up. */
void tls_session_import(struct tls_connection *connection, struct str exported, bool *carried);

#endif
