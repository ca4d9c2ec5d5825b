/* exchange: one SASL exchange, from its beginning to what came of it. */
#ifndef TERN_AUTH_EXCHANGE_H
#define TERN_AUTH_EXCHANGE_H

#include "clock.h"
#include "hash.h"
#include "ipc.h"
#include "source.h"

struct auth;
struct exchange;
struct dovecot_exchange;

enum exchange_step {
    STEP_CHALLENGE, /* the challenge was written */
    STEP_GRANTED,   /* login is set, the challenge is the mechanism's last word */
    STEP_DENIED,    /* wrong; counts if exchange->counts */
    STEP_MALFORMED, /* not what the mechanism says */
    STEP_LATER,     /* temporary */
};

struct mechanism {
    struct str name;
    bool shows_password; /* or a token: only where nobody listens */
    /* With this much of the client's connection known, can it work? */
    bool (*is_available)(const struct auth *auth, const struct ipc_auth_mechanisms *client);
    /* Takes a response; the first call has the initial response, or an empty one (has_response false) where there was
     * none. May suspend. */
    enum exchange_step (*respond)(struct exchange *exchange, bool has_response, struct str response,
                                  struct buf *challenge);
};

struct exchange {
    struct exchange *next, **previous; /* among those that wait; previous NULL: not among them */
    struct auth *auth;
    struct ipc_peer *peer;
    uint64_t number;
    const struct mechanism *mechanism;
    struct arena *arena; /* all texts */
    struct str protocol, client_address, address_key, client_name, local_name, realm, exporter, end_point, certificate;
    bool encrypted;
    bool no_count; /* an operator tries */
    bool busy;     /* a response is being worked on */
    bool cancelled;
    bool counts;    /* denied: a wrong login and not a slip */
    bool barred;    /* later: kept out */
    unsigned steps; /* responses that were taken */
    deadline until;
    deadline asked;                 /* when the response in work came */
    void *state;                    /* the mechanism's own, in the arena */
    struct dovecot_exchange *relay; /* under way at another server; NULL: none */
    struct str user;                /* whom the client named, prepared; empty: not known yet */
    struct str login;               /* granted */
    struct auth_account account;
    struct auth_source *source;
    char reason[200];
};

/* Serve the three requests; each answers. */
void exchange_begin(struct ipc_request *request, struct auth *auth);
void exchange_respond(struct ipc_request *request, struct auth *auth);
void exchange_cancel(struct ipc_request *request, struct auth *auth);
/* Ends those whose client takes too long; once a second, outside tasks. */
void exchange_expire(struct auth *auth);

/* ---- mechanisms.c */
/* The row of a name, or NULL. */
const struct mechanism *mechanism_find(struct str name);
/* The mechanisms in auth_mechanisms' order that can work for such a client, space separated. */
void mechanisms_offered(const struct auth *auth, const struct ipc_auth_mechanisms *client, struct buf *names);

/* ---- mechanism_offer.c: is it named in auth_mechanisms, and can it work for such a client? */
bool mechanism_is_available(const struct auth *auth, const struct mechanism *mechanism,
                            const struct ipc_auth_mechanisms *client);

/* ---- mechanism_*.c */
extern const struct mechanism mechanism_plain, mechanism_login, mechanism_external, mechanism_anonymous,
    mechanism_cram_md5, mechanism_oauthbearer, mechanism_xoauth2, mechanism_scram_sha_1, mechanism_scram_sha_1_plus,
    mechanism_scram_sha_256, mechanism_scram_sha_256_plus;

#endif
