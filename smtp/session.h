/* session: a connection to one server, from connect to QUIT. */
#ifndef TERN_SMTP_SESSION_H
#define TERN_SMTP_SESSION_H

#include "hosts.h"
#include "memory.h"
#include "reply_policy.h"
#include "smtp_reply.h"
#include "stream.h"
#include "tls_plan.h"
#include "trouble.h"

struct smtp;

#define LOGIN_KEY_SIZE 32

enum connection_loss {
    LOSS_NONE,
    LOSS_CLOSED,
    LOSS_TIMEOUT,
    LOSS_CANCELLED,
    LOSS_PROTOCOL, /* it spoke, but not SMTP */
    LOSS_FILE,     /* our side: the content could not be read */
};

struct connection {
    struct smtp *smtp;
    struct stream *stream;
    char *name;  /* the server's */
    char *peer;  /* name[address] */
    char *relay; /* name[address]:port */
    bool esmtp;
    struct smtp_ehlo ehlo;
    struct buf ehlo_text;    /* what ehlo borrows from */
    struct smtp_reply reply; /* the last one */
    enum connection_loss loss;
    unsigned uses;    /* messages begun on it */
    bool closing;     /* the server said 421 */
    bool needs_reset; /* a transaction was begun and not ended */
    deadline opened, idle_until;
    uint8_t login_key[LOGIN_KEY_SIZE]; /* the account that it has logged in with, or would have (login.h) */
    struct tls_connection *tls;         /* NULL: plain text; lives as long as the stream */
    uint8_t tls_key[TLS_PLAN_KEY_SIZE]; /* of the plan by which it was opened */
    char tls_status[80];                /* for tls= in the log */
    bool reusable;                      /* as far as the plan goes */
    char *session_name;                 /* of its TLS session in tls_sessions */
    size_t session_name_length;
    bool session_kept;
    struct connection *newer, *older; /* the cache's */
};

/* "name[address]:port" as it is in the log, and the key of the cache. */
void host_relay(const struct host *host, struct buf *text);

/* Connects, says hello and does with TLS what the plan says. A handshake that fails where plain text would do is
 * followed at once by a connection in plain text. question is what the plan was made of; its route's detect_loop: a
 * server that bears our own name is ourselves. NULL: *trouble says why. */
MUST_USE struct connection *session_open(struct smtp *smtp, const struct tls_question *question,
                                         const struct tls_plan *plan, struct arena *arena, struct trouble *trouble);
/* Reads one reply into connection->reply. False: connection->loss says why. */
MUST_USE bool connection_read_reply(struct connection *connection, int64_t timeout);
/* Records how a stream operation failed; returns false. */
bool connection_lost(struct connection *connection, enum stream_result result);
/* RSET where the last transaction was left open. False: it cannot be used. */
MUST_USE bool connection_reset(struct connection *connection);
/* Says QUIT in a task of its own, then closes. Takes it over. May be called outside tasks. */
void connection_quit(struct connection *connection);
/* Closes without a word; sets *connection to NULL. */
void connection_close(struct connection **connection);

#endif
