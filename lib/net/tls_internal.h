/* tls_internal: what the files behind tls.h share. Nobody else includes it. */
#ifndef TERN_TLS_INTERNAL_H
#define TERN_TLS_INTERNAL_H

#include "tls.h"

#define TLS_TICKET_KEYS_MAX 16

struct tls_staple {
    X509 *certificate; /* its chain's own */
    uint8_t *response;
    size_t length;
};

struct tls_context {
    SSL_CTX *ssl;
    unsigned owners;
    bool tickets;
    enum tls_ask_certificate ask;
    struct buf alpn, digest;
    struct tls_staple *staples; /* one for each chain */
    size_t chain_count;
    size_t (*ticket_keys)(void *context, struct tls_ticket_key *keys, size_t room);
    struct tls_context *(*for_name)(void *context, struct str server_name);
    void *context;
};

struct tls_connection {
    SSL *ssl;
    struct tls_context *context, *named; /* both held; named: what for_name gave */
    int descriptor;
    bool server;
    bool drained;        /* the last recv took all there was */
    unsigned reads_left; /* until the library is told to wait */
    bool unusable;       /* a fatal error: not even close_notify may be sent */
    bool ended;          /* close_notify has been sent */
    bool name_wanted, name_known;
    SSL_SESSION *ticket; /* client: the newest session, not exported yet */
    uint8_t wish[32];    /* client: digest of what is expected, see tls_verify.c */
    bool as_wished;      /* client: it is what was expected */
    struct tls_facts facts;
};

/* ---- tls_library.c */

/* OpenSSL is started without its configuration file. Called by whoever makes a context. */
void tls_library_start(void);
/* "what: the library's first error", and its error queue is emptied. Returns false. */
bool tls_library_failed(struct failure *failure, const char *what);
/* The connection that an SSL belongs to. */
struct tls_connection *tls_connection_of(const SSL *ssl);

/* ---- tls_context.c */

/* Both sides' part of a context; chains too. */
MUST_USE bool tls_context_set(struct tls_context *context, const struct tls_suite_options *suite,
                              const struct tls_chain *chains, size_t count, struct failure *failure);
/* Certificates in PEM. False if there is none, or one that cannot be read. */
MUST_USE STACK_OF(X509) * tls_certificates(struct str pem, struct failure *failure);

/* ---- tls_server.c */

/* The callbacks of a server's context. */
void tls_server_callbacks(struct tls_context *context);
/* How many ticket keys there are now. */
size_t tls_server_ticket_keys(const struct tls_context *context, struct tls_ticket_key *keys);

/* ---- tls_verify.c */

/* Tells the SSL whom the client expects, before the handshake. */
MUST_USE bool tls_expect(struct tls_connection *connection, const struct tls_client_session *session,
                         struct failure *failure);
/* Says after the handshake whether that is who came; carried: what a resumed session's first connection found. */
void tls_judge(struct tls_connection *connection, const struct tls_client_session *session, bool carried);
/* The server's judgement of a client certificate. */
void tls_judge_client(struct tls_connection *connection);
/* A digest of all that a judgement depends on. */
void tls_wish(const struct tls_client_session *session, uint8_t wish[32]);

/* ---- tls_facts.c */

/* Fills in what is known after the handshake. digest: of the fingerprints; empty: sha256. */
void tls_note_facts(struct tls_connection *connection, struct str digest);

#endif
