/* tls_client: TLS on connections to servers: contexts, sessions to resume, the handshake and its log line.
 *
 * One context is kept for each choice of versions and ciphers; the authorities'
 * certificates are parsed when the first connection wants them. Sessions are kept
 * by server and plan, a few each, each for one use. */
#ifndef TERN_SMTP_TLS_CLIENT_H
#define TERN_SMTP_TLS_CLIENT_H

#include "tls_plan.h"
#include "tls_settings.h"

struct connection;
struct tls_client;

/* Reads the authorities' certificates, CAfile and CApath (files named as c_rehash does), if TLS may be used at all.
 * Before the sandbox. What cannot be read is said in the log. */
void tls_client_read_roots(const struct tls_settings *settings, struct buf *roots);
/* roots is borrowed. */
struct tls_client *tls_client_create(struct smtp *smtp, struct str roots);
void tls_client_destroy(struct tls_client **client);

/* The context for connections by a plan; the caller releases it. NULL: the configuration is no good, or keys does not
 * answer (failure): a fault of this machine. Suspends the task. */
MUST_USE struct tls_context *tls_client_context_for(struct smtp *smtp, const struct tls_plan *plan,
                                                    struct failure *failure);
/* The handshake, with connection->stream's input empty. False: failure has the library's words. True: connection->tls
 * is set; whether the server is the one expected is another question: tls_client_accepts. */
MUST_USE bool tls_client_handshake(struct connection *connection, struct tls_context *context,
                                   const struct tls_plan *plan, struct failure *failure);
/* Whether the plan lets mail go to the server behind connection->tls. */
bool tls_client_accepts(const struct connection *connection, const struct tls_plan *plan);
/* Keeps a session of the connection for a later one, if the server has given one and none was kept yet. */
void tls_client_keep_session(struct connection *connection);

/* The line of the log: "Verified TLS connection established to host[address]:25: TLSv1.3 with cipher ...". */
void tls_client_describe(const struct connection *connection, const struct tls_plan *plan, struct buf *text);

#endif
