/* failures: who gave wrong passwords, and who is kept out for it. Pure: the date is an argument.
 *
 * Counted are addresses (IPv6: the network of 64 bits), accounts, and pairs of both. An
 * address over its limit is kept out; an account over its limit is open only to addresses
 * that it has logged in from before, and to those without a mistake, so that nobody can
 * lock the owner out; far over its limit (a taken-over daemon invents addresses) only to the
 * former. A pair that has logged in before passes both walls until it fails as often itself.
 * Each further ban is twice as long. A success takes one failure from its address in a
 * minute, so that somebody who has an account cannot guess others forever.
 *
 * Memory is bounded: of each kind the least recently heard of goes when there are too many. */
#ifndef TERN_AUTH_FAILURES_H
#define TERN_AUTH_FAILURES_H

#include "buf.h"
#include "str.h"

struct failures;

struct failures_limits {
    uint32_t address_failures, account_failures;
    int64_t window, ban_time, ban_time_limit, known_time; /* seconds */
    size_t records;                                       /* of each kind */
};

enum failures_kind { FAILURES_ACCOUNT, FAILURES_ADDRESS, FAILURES_PAIR }; /* the first two as enum auth_ban_kind */
enum failures_gate { GATE_OPEN, GATE_ADDRESS_BANNED, GATE_ACCOUNT_BANNED };

/* A ban as lists show it; texts are borrowed. */
struct failures_ban {
    enum failures_kind kind;
    struct str subject, reason;
    uint32_t failures;
    int64_t begun, ends;
};

/* What a wrong login brought about. */
struct failures_news {
    uint32_t address_count, account_count;
    bool address_banned, account_banned; /* just now */
    int64_t address_ends, account_ends;
};

/* limits are copied. */
struct failures *failures_create(const struct failures_limits *limits);
void failures_destroy(struct failures **failures);

/* What an address is counted under: "192.0.2.1", "2001:db8:0:1::/64". False if it is no address: nothing is counted. */
MUST_USE bool failures_address_key(struct str address, struct buf *key);

/* May this account be tried from there now? address: a key, may be empty (nobody's: only the account counts). */
enum failures_gate failures_check(const struct failures *failures, struct str address, struct str account, int64_t now,
                                  int64_t *until);
/* Counts a wrong login. exempt: the address is never kept out. */
void failures_wrong(struct failures *failures, struct str address, struct str account, bool exempt, int64_t now,
                    struct failures_news *news);
void failures_right(struct failures *failures, struct str address, struct str account, int64_t now);
/* How much a login is trusted before it is looked at: 0 logged in from there before, 1 nothing is known against
 * either, or somebody has just logged in from there and nobody failed, 2 nothing is known against the address, then
 * worse up to FAILURES_RANK_MAX. */
#define FAILURES_RANK_MAX 7
unsigned failures_rank(const struct failures *failures, struct str address, struct str account, int64_t now);

/* An operator's ban, and lifting any; an empty subject lifts all of the kind. False: there was none to lift. */
void failures_ban(struct failures *failures, enum failures_kind kind, struct str subject, struct str reason,
                  int64_t seconds, int64_t now);
MUST_USE bool failures_lift(struct failures *failures, enum failures_kind kind, struct str subject);
/* The first bans after a cursor (failures_cursor of the last one of before; empty at first), by kind and subject;
 * returns how many, at most room. Texts are borrowed until the next call that changes something. */
size_t failures_bans(const struct failures *failures, struct str after, int64_t now, struct failures_ban *bans,
                     size_t room);
bool failures_cursor(const struct failures_ban *ban, struct buf *cursor);

/* Forgets what no longer matters; at most some thousand records a call. Called every now and then, it also notices that
 * the clock was set back, and sets all dates back with it. */
void failures_expire(struct failures *failures, int64_t now);
/* Goes up with every change that is worth keeping, so a writer knows whether there is something to write. */
uint64_t failures_changes(const struct failures *failures);
/* All records as text, a line each; and back: lines are added to what is there, where both are known the stricter
 * counts. Lines that are malformed are passed over; the number of good ones is returned. */
bool failures_write(const struct failures *failures, int64_t now, struct buf *text);
size_t failures_read(struct failures *failures, struct str text, int64_t now);

#endif
