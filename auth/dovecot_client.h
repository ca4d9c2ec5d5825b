/* dovecot_client: SASL exchanges by Dovecot's auth service, over its UNIX socket.
 *
 * One connection carries all exchanges. It is made when it is first wanted, and made anew
 * after it broke; what was under way on it then ends with DOVECOT_LATER. For tasks. */
#ifndef TERN_DOVECOT_CLIENT_H
#define TERN_DOVECOT_CLIENT_H

#include "clock.h"
#include "failure.h"
#include "memory.h"
#include "source.h"
#include "str.h"

struct dovecot_client;
struct dovecot_exchange;

/* Whom an exchange is about, and how it begins. */
struct dovecot_opening {
    struct str protocol, client_address;
    bool encrypted;
    struct str mechanism;
    bool has_initial;
    struct str initial; /* decoded */
};

enum dovecot_outcome {
    DOVECOT_GO_ON,   /* data: the challenge */
    DOVECOT_GRANTED, /* data: the mechanism's last word; account is set */
    DOVECOT_REFUSED, /* wrong, or no such account; account.login is whom it took the client for, NULL: nobody */
    DOVECOT_DISABLED,
    DOVECOT_LATER, /* failure says why */
};

struct dovecot_answer {
    enum dovecot_outcome outcome;
    struct str data; /* decoded */
    struct auth_account account;
};

/* path: of its socket, copied. Connects when it is first asked. */
struct dovecot_client *dovecot_client_create(struct str path);
/* In a task, if it was ever asked; with no exchange left. */
void dovecot_client_destroy(struct dovecot_client **client);
/* The mechanisms that it offers, space separated, in the arena; plain ones only when encrypted. */
MUST_USE bool dovecot_mechanisms(struct dovecot_client *client, bool encrypted, deadline until, struct arena *arena,
                                 struct str *mechanisms, struct failure *failure);
/* Begins. *exchange is set with DOVECOT_GO_ON only, and is the caller's to go on with or to end. Texts of the
 * answer live in the arena. */
void dovecot_begin(struct dovecot_client *client, const struct dovecot_opening *opening, deadline until,
                   struct arena *arena, struct dovecot_exchange **exchange, struct dovecot_answer *answer,
                   struct failure *failure);
/* Goes on; *exchange is NULL afterwards unless the outcome is DOVECOT_GO_ON. */
void dovecot_respond(struct dovecot_exchange **exchange, struct str response, deadline until, struct arena *arena,
                     struct dovecot_answer *answer, struct failure *failure);
/* The client has given up; sets *exchange to NULL, and does not wait. NULL is accepted. */
void dovecot_cancel(struct dovecot_exchange **exchange);

#endif
