/* relay: smtpd_sasl_type = dovecot. Not tern knows the accounts then but Dovecot's auth
 * service, at the UNIX socket smtpd_sasl_path, and every mechanism that it offers is
 * carried to it as it is. Who is kept out after wrong logins is still decided here. */
#ifndef TERN_AUTH_RELAY_H
#define TERN_AUTH_RELAY_H

#include "exchange.h"

/* Before the sandbox: whether there is one, and where (auth->relay). */
MUST_USE bool relay_prepare(struct auth *auth, struct failure *failure);
/* Whether exchanges of a protocol are Dovecot's. */
bool relay_takes(const struct auth *auth, struct str protocol);
/* Appends the mechanisms that it offers to such a client, space separated; nothing if it does not answer. In a task. */
void relay_mechanisms(const struct auth *auth, bool encrypted, struct buf *names);
/* A row for a mechanism that is relayed, in the arena. */
const struct mechanism *relay_mechanism(struct str name, struct arena *arena);

#endif
