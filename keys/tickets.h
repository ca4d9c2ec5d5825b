/* tickets: the keys of TLS session tickets, and when they are replaced.
 *
 * A key makes tickets for as long as a session may be resumed and takes them for as
 * long again. A key's name begins with the date it was made, which tickets show to
 * everybody and which tells nobody anything; so a list of keys needs no more than
 * itself to be kept by date, also by another process. Pure. */
#ifndef TERN_TICKETS_H
#define TERN_TICKETS_H

#include "buf.h"
#include "compiler.h"

#define TICKET_KEY_NAME   16
#define TICKET_KEY_SECRET 64 /* 32 octets for AES-256, 32 for HMAC-SHA-256 */
#define TICKET_KEYS       8

struct ticket_key_pair {
    uint8_t name[TICKET_KEY_NAME]; /* 8 octets of date, seconds since 1970, high ones first; 8 of chance */
    uint8_t secret[TICKET_KEY_SECRET];
};

struct tickets {
    struct ticket_key_pair keys[TICKET_KEYS]; /* the youngest first */
    size_t count;
    int64_t life; /* seconds */
};

/* Fills with chance; false if there is none to be had. */
typedef bool tickets_random(void *bytes, size_t size);

/* Drops keys that are too old (or of a date to come), and makes a new one when the first has made
 * tickets for its life. False: no chance to be had; the list is as it was but for what was dropped. */
MUST_USE bool tickets_renew(struct tickets *tickets, int64_t now, tickets_random *random);
/* Seconds until the first is to be replaced, at least 1. */
int64_t tickets_good_for(const struct tickets *tickets, int64_t now);
/* Takes another process's key in, by its date. False if it is too old or there already. */
MUST_USE bool tickets_take(struct tickets *tickets, int64_t now, struct str name, struct str secret);
/* Overwrites all. */
void tickets_wipe(struct tickets *tickets);

#endif
