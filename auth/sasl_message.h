/* sasl_message: what SASL clients say, parsed. Pure; results borrow from the message.
 *
 *   PLAIN                 RFC 4616
 *   SCRAM                 RFC 5802 section 7, RFC 7677
 *   OAUTHBEARER           RFC 7628 section 3.1
 *   XOAUTH2               Google's predecessor of it, as Microsoft has it too */
#ifndef TERN_AUTH_SASL_MESSAGE_H
#define TERN_AUTH_SASL_MESSAGE_H

#include "buf.h"

#define SASL_NAME_MAX     ((size_t)255)
#define SASL_PASSWORD_MAX ((size_t)1024)
#define SCRAM_NONCE_MAX   ((size_t)256)

struct sasl_plain {
    struct str authorization, name, password;
};
MUST_USE bool sasl_plain_read(struct str message, struct sasl_plain *plain);

enum scram_binding {
    SCRAM_BINDING_NONE,     /* n: the client cannot */
    SCRAM_BINDING_NOT_OURS, /* y: it could, but believes that we cannot */
    SCRAM_BINDING_REQUIRED, /* p=NAME */
};

struct scram_first {
    enum scram_binding binding;
    struct str binding_name;  /* with SCRAM_BINDING_REQUIRED */
    struct str authorization; /* saslname as sent */
    struct str name;          /* the same */
    struct str nonce;
    struct str header; /* the GS2 header with its commas, which c= has to repeat */
    struct str bare;   /* client-first-message-bare */
};
MUST_USE bool scram_first_read(struct str message, struct scram_first *first);
/* Appends a saslname decoded: =2C is a comma, =3D an equals sign. False, and nothing appended, if it is malformed or
 * longer than SASL_NAME_MAX. */
MUST_USE bool scram_name_decode(struct str name, struct buf *decoded);

struct scram_final {
    struct str binding; /* base64 */
    struct str nonce;
    struct str proof; /* base64 */
    struct str without_proof;
};
MUST_USE bool scram_final_read(struct str message, struct scram_final *final);

struct sasl_token {
    struct str name; /* the authorization identity or user; may be empty with OAUTHBEARER */
    struct str token;
};
/* name: saslname as sent. */
MUST_USE bool sasl_oauthbearer_read(struct str message, struct sasl_token *token);
MUST_USE bool sasl_xoauth2_read(struct str message, struct sasl_token *token);

#endif
