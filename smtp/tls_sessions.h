/* tls_sessions: TLS sessions that may be resumed, by server and what is asked of it.
 *
 * Each is taken out for one use (RFC 8446 appendix C.4). The oldest go when there
 * is no more room; what is dropped is wiped. */
#ifndef TERN_SMTP_TLS_SESSIONS_H
#define TERN_SMTP_TLS_SESSIONS_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

struct tls_sessions;

#define TLS_SESSIONS_OF_ONE 8 /* most under one name */

/* limit 0: keeps none. lifetime in ms. */
struct tls_sessions *tls_sessions_create(size_t limit, int64_t lifetime);
void tls_sessions_destroy(struct tls_sessions **sessions);
void tls_sessions_put(struct tls_sessions *sessions, struct str name, struct str session);
/* The newest that is not too old, appended. False: none. */
MUST_USE bool tls_sessions_take(struct tls_sessions *sessions, struct str name, struct buf *session);
size_t tls_sessions_count(const struct tls_sessions *sessions);

#endif
