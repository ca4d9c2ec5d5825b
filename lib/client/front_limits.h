/* front_limits: how many connections of one client have not logged in. Who has logged in is counted by mailbox. */
#ifndef TERN_FRONT_LIMITS_H
#define TERN_FRONT_LIMITS_H

#include "compiler.h"
#include "failure.h"
#include "str.h"

/* A client: its IPv4 address, or the network of 64 bits that its IPv6 address is in. */
struct front_client_key {
    size_t length; /* 0: it is not counted */
    char octets[8];
};

struct front_limits;

/* limit 0: nobody is refused. exceptions: addresses and networks that are not counted. False with the reason: one of
 * them is none. */
MUST_USE bool front_limits_create(int64_t limit, struct str exceptions, struct front_limits **limits,
                                  struct failure *failure);
void front_limits_free(struct front_limits **limits);
/* Counts a connection. False: there are as many as may be; *count says how many with this one, which is not counted. */
MUST_USE bool front_limits_enter(struct front_limits *limits, struct str address, struct front_client_key *key,
                                 uint64_t *count);
/* It has logged in, or is gone. Once for each that was counted; again does nothing. */
void front_limits_leave(struct front_limits *limits, struct front_client_key *key);

#endif
