/* auth: one SASL exchange, by the auth process. The asker carries bytes between client and
 * auth (encoded as its protocol wants it) and learns nothing but the account's name. */
#ifndef TERN_AUTH_H
#define TERN_AUTH_H

#include "ipc.h"
#include "memory.h"
#include "service.h"

enum auth_ban_kind { AUTH_BAN_ACCOUNT = 0, AUTH_BAN_ADDRESS = 1 };

struct auth_client;

/* Whom it is about, for all exchanges of a connection. Texts are borrowed. */
struct auth_subject {
    struct str protocol, client_address, client_name, local_name;
    struct str realm; /* added to names without a domain; empty: auth_default_realm */
    bool encrypted; /* or nobody can listen, or the administrator wants it so */
    struct str exporter, end_point; /* channel bindings; empty: none */
    struct str certificate;         /* EXTERNAL */
};

/* How an exchange begins. */
struct auth_opening {
    struct str mechanism;
    bool has_initial;
    struct str initial; /* decoded */
};

enum auth_outcome {
    AUTH_GO_ON,   /* say the challenge, bring the response */
    AUTH_GRANTED, /* login is set */
    AUTH_DENIED,  /* wrong, or not understood: reply_code, status and text say what to tell the client */
    AUTH_LATER,   /* auth or a source does not answer: temporary */
};

struct auth_result {
    enum auth_outcome outcome;
    struct str data;  /* challenge; with AUTH_GRANTED the mechanism's last word (may be empty) */
    struct str login; /* AUTH_GRANTED: the account; AUTH_DENIED: whom the client named, outside bytes, may be empty */
    struct ipc_list fields; /* AUTH_GRANTED: rows of auth_field */
    unsigned reply_code;    /* AUTH_DENIED and AUTH_LATER: 535, 501, 504, 454 */
    struct str status, text;
};

/* For as long as the service lives, which is borrowed. */
struct auth_client *auth_client_create(struct service *service);
/* The mechanisms for such a client, space separated; kept for a minute. data is NULL if auth does not answer. */
MUST_USE struct str auth_mechanisms(struct auth_client *client, const struct auth_subject *subject, deadline until,
                                    struct arena *arena);
/* Begins: *exchange is a number for what follows. Results live in the arena. Task context. */
void auth_begin(struct auth_client *client, const struct auth_subject *subject, const struct auth_opening *opening,
                deadline until, struct arena *arena, uint64_t *exchange, struct auth_result *result);
void auth_respond(struct auth_client *client, uint64_t exchange, struct str response, deadline until,
                  struct arena *arena, struct auth_result *result);
/* The client said "*", or has gone. */
void auth_cancel(struct auth_client *client, uint64_t exchange);

#endif
