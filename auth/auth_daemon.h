/* auth_daemon: the one context of the daemon, and what its files offer each other. */
#ifndef TERN_AUTH_DAEMON_H
#define TERN_AUTH_DAEMON_H

#include "auth_state.h"
#include "clock.h"
#include "config.h"
#include "exchange.h"
#include "failures.h"
#include "hash_queue.h"
#include "ipc.h"
#include "match_list.h"
#include "password_cache.h"
#include "service.h"
#include "sources.h"

struct dovecot_client;

struct auth {
    struct service *service;
    const struct config *config;
    struct sources sources;
    struct failures *failures;
    struct auth_state *state; /* where failures are kept over restarts */
    struct match_list *ban_exceptions;
    struct hash_queue *hashes;
    struct password_cache *cache;
    struct exchange *exchanges;   /* those that wait for their client */
    struct buf
        typical; /* a stored secret: what a wrong login to no account is hashed against; empty: none was seen yet */
    struct ipc_client *mailbox;   /* NULL: there are no sessions */
    struct dovecot_client *relay; /* smtpd_sasl_type = dovecot; NULL: another type */
    uint32_t owner;               /* mail_owner's uid */
};

/* ---- login.c: from a name and a proof to a decision */

enum login_found { LOGIN_FOUND, LOGIN_UNKNOWN, LOGIN_STOP };
/* Prepares the name, asks whether it may be tried from there, and looks the account up (exchange->user, account,
 * source). LOGIN_STOP: *step is the answer (kept out, a source that does not answer, no name). */
enum login_found login_find(struct exchange *exchange, struct str name, enum exchange_step *step);
/* All of PLAIN and LOGIN. authorization: whom to be, empty: the name's account. */
enum exchange_step login_by_password(struct exchange *exchange, struct str authorization, struct str name,
                                     struct str password);
/* The account of login_find, or of a token, is the client's: may it come in, and may it be who authorization says? */
enum exchange_step login_grant(struct exchange *exchange, struct str authorization);
/* True: kept out, by address or as the account exchange->user (which may be empty yet); *step is the answer. Asked again
 * when the name becomes known, and before an answer that took time to find: a ban may have begun meanwhile, and neither
 * right nor wrong is then said. */
MUST_USE bool login_is_barred(struct exchange *exchange, enum exchange_step *step);
/* Ends: wrong, and it counts. */
enum exchange_step login_wrong(struct exchange *exchange, const char *reason);
/* Ends: temporary. */
enum exchange_step login_later(struct exchange *exchange, const char *format, ...) PRINTF_LIKE(2, 3);
/* A name as accounts are looked for: SASLprep, auth_default_realm, lower case. In the exchange's arena. */
MUST_USE bool login_name(struct exchange *exchange, struct str name, struct str *prepared);
/* Whom a source is asked about. */
struct source_question login_question(struct exchange *exchange);
/* Runs a costly function when the exchange's turn comes. */
MUST_USE bool login_compute(struct exchange *exchange, void (*function)(void *argument), void *argument);

/* ---- admit.c: sessions of IMAP and POP3 */

#define ADMIT_TICKET_SIZE 33
/* Whether a login by this protocol ends in a session. */
bool admit_is_wanted(struct str protocol);
/* ADMIT_IMPOSSIBLE: not before an operator has changed something. */
enum admission { ADMIT_DONE, ADMIT_LATER, ADMIT_IMPOSSIBLE };
/* Finds out whose mailbox it is and tells mailbox; ticket is text. A refusal is logged. May suspend. */
MUST_USE enum admission admit_session(const struct auth *auth, struct exchange *exchange,
                                      char ticket[ADMIT_TICKET_SIZE]);

/* Answers AUTH_ACCOUNT: where an account's mailbox is. Nothing secret is in the answer. May suspend. */
void admit_tell_account(struct ipc_request *request, struct auth *auth);

/* ---- bans.c: what operators ask */

/* Serves AUTH_BANS and AUTH_BAN_CHANGE for root and mail_owner; false: it is another request. */
bool bans_serve(struct ipc_request *request, struct auth *auth);
/* True if the caller came by the public socket and is root or mail_owner. */
bool bans_is_operator(const struct ipc_request *request, const struct auth *auth);

#endif
