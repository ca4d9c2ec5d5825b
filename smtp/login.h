/* login: AUTH at another server (RFC 4954), with the account that lookup names.
 *
 *   login_prepare   which account is for this host and sender; its key
 *   login_run       AUTH on a connection that has said hello (and TLS)
 *   login_free      wipes it
 *
 * A connection is used again only for the account it has logged in with: by login.key,
 * which is all zeros where there is no account. */
#ifndef TERN_SMTP_LOGIN_H
#define TERN_SMTP_LOGIN_H

#include "session.h"

struct login {
    bool wanted; /* there is an account */
    struct buf user, password, grant;
    uint8_t key[LOGIN_KEY_SIZE];
};

/* The accounts that a server has refused for good, and access tokens with their time; bounded. */
struct login_memory;

struct login_memory *login_memory_create(void);

/* False: it cannot be found out now; *trouble says why. Suspends the task. */
MUST_USE bool login_prepare(struct smtp *smtp, struct str host, struct str next_hop, struct str sender,
                            struct arena *arena, struct login *login, struct trouble *trouble);
/* Logs in, where an account is wanted and the server offers AUTH. False: *trouble says why; the connection is of no
 * use for mail. Suspends the task. */
MUST_USE bool login_run(struct connection *connection, const struct login *login, const struct host *host,
                        struct arena *arena, struct trouble *trouble);
void login_free(struct login *login);

#endif
