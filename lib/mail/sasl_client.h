/* sasl_client: the client's side of SASL mechanisms (RFC 4422), as SMTP AUTH uses it.
 *
 *   PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195),
 *   SCRAM-SHA-1 and -SHA-256 (RFC 5802, 7677), with channel binding -PLUS (RFC 5929, 9266)
 *   OAUTHBEARER (RFC 7628), XOAUTH2
 *
 * Pure but for hashing; what a server sends is bounded and checked, iterations
 * too. Nothing is encoded here: challenges and responses are octets, base64 is
 * the protocol's. User names and passwords are sent as they are: beyond ASCII the
 * administrator writes them in normal form (SASLprep changes nothing of ASCII).
 * Secrets that this file copies are wiped. */
#ifndef TERN_SASL_CLIENT_H
#define TERN_SASL_CLIENT_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"

#define SASL_CHALLENGE_MAX ((size_t)12288) /* octets, RFC 4954 section 4 */

/* What an administrator may ask of a mechanism: words of smtp_sasl_security_options. */
enum sasl_security {
    SASL_NO_PLAINTEXT = 1,    /* no mechanism that shows the password, or a token, to who listens */
    SASL_NO_ACTIVE = 2,       /* none that who meddles with the connection can turn to use */
    SASL_NO_DICTIONARY = 4,   /* none whose passwords can be guessed by who has listened */
    SASL_NO_ANONYMOUS = 8,    /* there is none here */
    SASL_MUTUAL = 16,         /* the server proves that it knows the password too */
    SASL_FORWARD_SECRECY = 32 /* there is none here */
};
/* Reads a list of words; false at one that is not known (*bad is it). */
MUST_USE bool sasl_security_parse(struct str list, unsigned *security, struct str *bad);

struct sasl_credentials {
    struct str user;
    struct str password; /* or the token */
    bool token;          /* an OAuth access token */
    struct str host;     /* of the server, for OAUTHBEARER */
    uint16_t port;
};

/* Channel binding data; empty: not to be had. */
struct sasl_binding {
    struct str exporter, end_point;
    bool possible; /* there is TLS, so -PLUS would be used if it were offered */
};

struct sasl_mechanism;

/* The best mechanism of those offered (parted by blanks) that the filter lets through, that security allows and
 * that the credentials are for; NULL if there is none. filter: words, !word forbids; empty: all. */
const struct sasl_mechanism *sasl_client_choose(struct str offered, struct str filter, unsigned security, bool token,
                                                const struct sasl_binding *binding);
const char *sasl_mechanism_name(const struct sasl_mechanism *mechanism);
bool sasl_mechanism_begins(const struct sasl_mechanism *mechanism); /* with an initial response */

/* Has the library of digests load what it needs, without reading a file later; before a sandbox closes. */
void sasl_client_prepare(void);

struct sasl_client;

/* nonce: printable, unpredictable. Texts are copied. */
MUST_USE struct sasl_client *sasl_client_create(const struct sasl_mechanism *mechanism,
                                                const struct sasl_credentials *credentials,
                                                const struct sasl_binding *binding, struct str nonce);
void sasl_client_free(struct sasl_client **client);
/* The initial response, appended. */
void sasl_client_begin(struct sasl_client *client, struct buf *response);
/* The response to a challenge, appended; wipe it. False: the exchange is to be given up ("*"), failure says why. */
MUST_USE bool sasl_client_answer(struct sasl_client *client, struct str challenge, struct buf *response,
                                 struct failure *failure);
/* The server says that all is well: true if the mechanism thinks so too. */
MUST_USE bool sasl_client_accept(const struct sasl_client *client, struct failure *failure);

#endif
