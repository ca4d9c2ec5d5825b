/* front: what imapd and pop3d have in common: TLS, the login by auth, the loan of the connection to a session, and
 * clients that idle. The dialogue of each is its own.
 *
 * A front opens no file, holds no key, and sees of a mailbox what passes through its TLS. */
#ifndef TERN_FRONT_H
#define TERN_FRONT_H

#include "auth.h"
#include "buf.h"
#include "endpoint.h"
#include "front_limits.h"
#include "front_still_here.h"
#include "keys.h"
#include "session_channel.h"
#include "stream.h"

enum front_tls { FRONT_TLS_NONE, FRONT_TLS_OFFERED, FRONT_TLS_REQUIRED, FRONT_TLS_IMPLICIT };

struct front {
    struct service *service;
    const struct config *config;
    struct str protocol; /* "imap", "pop3" */
    struct str refusal; /* said to a client with too many connections; set before front_prepare */
    struct str still_here_text; /* said now and then to one that idles; empty: never; set before front_prepare */
    enum front_tls tls;
    struct tls_server_options tls_options;
    struct arena *arena;
    struct keys_pool *keys;
    struct auth_client *auth;
    struct ipc_client *mailbox;
    deadline complaint, crowd_complaint;
    struct front_limits *limits;
    struct front_watches *watches;
    struct front_still_here *still_here;
    struct front_client *clients; /* those that wait: to be ended when everything stops */
};

struct front_client {
    struct front *front;
    struct front_client *next, **link; /* among those that wait */
    struct task *task;
    struct stream *stream;
    struct endpoint peer;
    struct buf address;  /* text */
    struct tls_connection *tls;
    bool encrypted;      /* TLS */
    bool local;          /* from this machine: nobody listens */
    struct buf user;     /* who tries to log in, made safe for logs */
    unsigned wrong;      /* logins */
    deadline login_until;
    struct front_client_key key; /* while it has not logged in */
    /* idle.c */
    struct task_queue idle;
    struct front_watcher watcher;
    struct front_hearer hearer;
    struct str to_hear; /* that it is still served, or what is left of it */
    bool input, event, kicked;
    struct str session; /* its number, while it idles: borrowed */
    struct str state;
    bool untold;        /* mailbox does not know that it idles */
};

/* Before the sandbox, and in the loop. */
MUST_USE bool front_prepare(struct front *front, struct service *service, struct str protocol, struct failure *failure);
void front_start(struct front *front);
/* Everything stops: those that wait for their clients are woken. */
void front_stop(struct front *front);

/* A connection; NULL if its other end cannot be told, or has too many already. For implicit TLS the handshake has been
 * made. */
struct front_client *front_accept(struct front *front, int connection, size_t line_limit);
void front_client_free(struct front_client **client);
/* Whether TLS can be begun now, and whether a login has to wait for it. */
bool front_can_tls(struct front_client *client);
bool front_needs_tls(const struct front_client *client);
/* The handshake. The stream's input is empty. False: the connection is of no use. */
MUST_USE bool front_begin_tls(struct front_client *client);
/* The next line within the time for logging in. */
MUST_USE enum stream_result front_read_line(struct front_client *client, struct str *line);
/* The mechanisms for this client, space separated, in the arena. */
struct str front_mechanisms(struct front_client *client, struct arena *arena);
/* Whether a mechanism is among them; true where that cannot be known, too. */
bool front_offers(struct front_client *client, struct str mechanism, struct arena *arena);

/* How the client is asked for more, and what it said (decoded into response). False: it gave up or is gone. */
typedef bool front_ask(void *context, struct str challenge, struct buf *response);
/* LOGIN_IMPOSSIBLE: whatever the client says, until an operator has changed something. */
enum front_login { LOGIN_DONE, LOGIN_WRONG, LOGIN_LATER, LOGIN_IMPOSSIBLE, LOGIN_GONE };
/* Carries an exchange to its end. LOGIN_DONE: *ticket for mailbox, in the arena. Else *text says why, but with
 * LOGIN_GONE. */
enum front_login front_log_in(struct front_client *client, const struct auth_opening *opening, front_ask *ask,
                              void *context, struct arena *arena, struct str *ticket, struct str *text);
/* The same with name and password: LOGIN, USER and PASS. */
enum front_login front_log_in_plain(struct front_client *client, struct str user, struct str password,
                                    struct arena *arena, struct str *ticket, struct str *text);

/* Lends the connection to a session, and to the next one after each IDLE, until the client is gone. lost: said to the
 * client when a session cannot be had or is lost. */
void front_serve_session(struct front_client *client, struct str tag, struct str ticket, struct str lost);

#endif
