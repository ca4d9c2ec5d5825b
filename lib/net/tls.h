/* tls: TLS on a stream, from either side.
 *
 * A context is made once from a set of options and serves many connections. A
 * handshake runs in the task of its stream, by the stream's deadline; when it
 * has succeeded TLS is the stream's transport (stream_set_transport) and the
 * callers go on as before. What was in the stream's input buffer before must be
 * gone: both functions refuse a stream with pending input (lessons.md, STARTTLS).
 *
 * OpenSSL reads no configuration file and no environment; its error queue is
 * emptied before each call and read right after it. No renegotiation, no
 * compression, no early data. A peer that closes without close_notify is
 * STREAM_ERROR in the middle of a line or of content, STREAM_EOF between. */
#ifndef TERN_TLS_H
#define TERN_TLS_H

#include <openssl/ssl.h>

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"
#include "stream.h"
#include "tls_key.h"

struct tls_context;

/* Which versions and ciphers: what both sides have in common. Texts are Postfix's:
 * protocols ">=TLSv1.2", "!SSLv2, !TLSv1.1", "<=TLSv1.3"; grades high, medium, null
 * and so on come in as lists already. Empty texts: OpenSSL's own default. */
struct tls_suite_options {
    struct str protocols;
    struct str ciphers;      /* OpenSSL cipher list for TLS 1.2 and before */
    struct str ciphersuites; /* TLS 1.3 */
    struct str groups;       /* key exchange, "X25519:P-256" */
    bool prefer_server_order;
};

/* One certificate chain with its key. */
struct tls_chain {
    struct str pem;    /* certificates, the own first */
    struct str staple; /* OCSP response; empty: none */
    EVP_PKEY *key;     /* borrowed; the context takes a reference of its own */
};

enum tls_ask_certificate { TLS_ASK_NONE, TLS_ASK, TLS_ASK_REQUIRE };

struct tls_ticket_key {
    uint8_t name[16], cipher[32], mac[32];
};

struct tls_server_options {
    struct tls_suite_options suite;
    const struct tls_chain *chains; /* the default ones; RSA and ECDSA side by side */
    size_t chain_count;
    enum tls_ask_certificate ask;  /* a certificate that does not verify ends no handshake: see tls_facts */
    struct str fingerprint_digest; /* of the client's certificate; empty: sha256 */
    struct str client_roots;       /* PEM: authorities that client certificates are verified by */
    int verify_depth;
    struct str session_context; /* sessions are good only where this is the same */
    struct str alpn;            /* protocol that is agreed to when offered, "smtp"; empty: ALPN is not used */
    bool tickets;
    int64_t session_lifetime; /* seconds that a session may be resumed; 0: an hour */
    /* The ticket keys of now, the first makes tickets; returns how many (0: no tickets).
     * Called at each handshake; may not suspend. */
    size_t (*ticket_keys)(void *context, struct tls_ticket_key *keys, size_t room);
    /* The context for a server name (SNI), borrowed, kept alive by its owner until the
     * connection has gone; NULL: this one. May suspend the task. */
    struct tls_context *(*for_name)(void *context, struct str server_name);
    void *context; /* of both functions */
};

struct tls_client_options {
    struct tls_suite_options suite;
    const struct tls_chain *chains; /* client certificates; may be none */
    size_t chain_count;
    struct str roots; /* PEM: trust anchors; empty: none, nothing verifies by PKI */
    int verify_depth;
};

/* NULL: failure says which option is wrong. Contexts are counted: tls_context_hold for
 * another owner, tls_context_release drops one and sets the pointer to NULL. A
 * connection holds its context. */
MUST_USE struct tls_context *tls_server_context(const struct tls_server_options *options, struct failure *failure);
MUST_USE struct tls_context *tls_client_context(const struct tls_client_options *options, struct failure *failure);
struct tls_context *tls_context_hold(struct tls_context *context);
void tls_context_release(struct tls_context **context);

/* ---- what a client expects of a server */

enum tls_expectation {
    TLS_EXPECT_NOTHING,     /* any certificate will do; what can be said of it is said in tls_facts */
    TLS_EXPECT_NAME,        /* it verifies up to a root and bears one of the names */
    TLS_EXPECT_FINGERPRINT, /* of certificate or public key */
    TLS_EXPECT_DANE,        /* TLSA records decide (RFC 7672) */
};

struct tls_tlsa {
    uint8_t usage, selector, matching;
    struct str data;
};

struct tls_client_session {
    struct str server_name; /* SNI; empty: none is sent */
    struct str alpn;
    enum tls_expectation expect;
    const struct str *names; /* TLS_EXPECT_NAME, and the reference names of DANE-TA; ".example.org" stands for any
                                subdomain */
    size_t name_count;
    struct str fingerprint_digest;  /* "sha256" */
    const struct str *fingerprints; /* hexadecimal with colons, in any case of letters */
    size_t fingerprint_count;
    const struct tls_tlsa *tlsa;
    size_t tlsa_count;
    struct str session; /* from tls_session_export of an earlier connection; empty: none */
};

/* ---- what came of it */

struct tls_facts {
    const char *protocol; /* "TLSv1.3" */
    const char *cipher;
    int used_bits, total_bits;
    bool reused;
    /* Postfix's words, each with a space before it, so that both can follow "(256/256 bits)": " key-exchange X25519"
     * and " server-signature ECDSA (P-256) server-digest SHA256"; empty where TLS 1.2's cipher name says it. */
    char key_exchange[60], signature[180];
    bool has_certificate; /* the peer showed one */
    bool trusted; /* its chain ends at a root (or a TLSA record of usage 0 or 2, or the record of usage 3 matched) */
    bool matched; /* and it is the one expected: name, fingerprint or TLSA record */
    char reason[200];               /* why not, the library's words; empty if nothing is wrong */
    char result_type[40];           /* the same as a TLSRPT result type (RFC 8460 section 4.3); empty */
    char subject[256], issuer[256]; /* common names, made safe for logs */
    char server_name[256];          /* SNI that the client sent, or that we sent */
    char fingerprint[200], public_key_fingerprint[200]; /* peer's, by the digest asked for (or sha256), upper case */
};

struct tls_connection;

/* Runs the server's side of a handshake. False: the stream is of no use any more; failure has the
 * library's words, or an error number (ETIMEDOUT, ECANCELED, ECONNRESET where the peer has gone). On success TLS is the
 * stream's transport. *connection lives as long as the stream. */
MUST_USE bool tls_accept(struct stream *stream, struct tls_context *context, struct tls_connection **connection,
                         struct failure *failure);
/* The client's side. True although the peer is not whom we expected: look at tls_connection_facts
 * (expect decides with matched); whoever asked for more than TLS_EXPECT_NOTHING must. */
MUST_USE bool tls_connect(struct stream *stream, struct tls_context *context, const struct tls_client_session *session,
                          struct tls_connection **connection, struct failure *failure);
const struct tls_facts *tls_connection_facts(const struct tls_connection *connection);
/* Channel bindings: tls-exporter (RFC 9266, 32 octets) and tls-server-end-point (RFC 5929). *length 0: not to be had.
 */
void tls_channel_bindings(const struct tls_connection *connection, uint8_t exporter[32], size_t *exporter_length,
                          uint8_t end_point[64], size_t *end_point_length);
/* The peer's certificate chain in PEM, appended. */
void tls_peer_chain(const struct tls_connection *connection, struct buf *pem);
/* A session that a later connection to the same server may resume, if the server has given one yet; appended,
 * false if there is none. Made for one use (RFC 8446 appendix C.4). */
bool tls_session_export(struct tls_connection *connection, struct buf *session);
/* close_notify is sent by stream_destroy, without waiting for the peer's. */

#endif
