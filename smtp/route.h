/* route: from a next hop to the servers to try, by DNS (RFC 5321 section 5, RFC 7505). */
#ifndef TERN_SMTP_ROUTE_H
#define TERN_SMTP_ROUTE_H

#include "hosts.h"
#include "memory.h"
#include "next_hop.h"
#include "trouble.h"

struct smtp;

struct route {
    struct host *hosts;
    size_t count;
    bool detect_loop;    /* port 25: who answers there with our name is us */
    bool by_mx;          /* the hosts' names are from MX records ... */
    bool mx_authentic;   /* ... of a validated answer; true too where no MX records were asked for */
    bool mx_unknown;     /* nobody could say which MX records there are (ignore_mx_lookup_error) */
    struct str mx_owner; /* whose MX records they are, after CNAMEs; empty: by_mx is not set */
};

/* False: *trouble says why. All lives in the arena. Suspends the task. */
MUST_USE bool route_find(struct smtp *smtp, const struct next_hop *next_hop, struct arena *arena, struct route *route,
                         struct trouble *trouble);

#endif
