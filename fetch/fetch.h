/* fetch: the daemon's context, and what its files offer each other. */
#ifndef TERN_FETCH_H
#define TERN_FETCH_H

#include "buf.h"
#include "clock.h"
#include "config.h"
#include "dns.h"
#include "hash.h"
#include "ipc.h"
#include "service.h"
#include "sts_policy.h"

struct fetch {
    struct service *service;
    const struct config *config;
    struct resolver *resolver;
    int directory;       /* what is kept over restarts; -1 in unit tests */
    struct buf roots;    /* PEM: the authorities that servers are verified by */
    struct map *domains; /* struct sts_domain by policy domain */
    unsigned at_once;    /* policies being fetched or waiting for their turn */
    unsigned transfers;  /* those being fetched */
    struct task_queue turn;
    bool refreshing; /* a task is at it */
};

/* ---- http.c: one request */

enum http_result {
    HTTP_ANSWERED,    /* the server said something: status, type and content */
    HTTP_REFUSED,     /* the request is not one that may be made */
    HTTP_NO_ADDRESS,  /* the host's name has none, or none that may be asked */
    HTTP_UNREACHABLE, /* no connection, or it broke */
    HTTP_CERTIFICATE, /* the server's certificate does not verify, or is another's */
    HTTP_TOO_LARGE,   /* more content than the limit */
    HTTP_TOO_SLOW,    /* the time was over */
};

struct http_request {
    bool post;
    struct str url;
    struct str headers; /* lines parted by LF */
    struct str body;
    size_t limit;     /* most octets of content */
    bool may_private; /* addresses that are not public will do */
    bool may_plain;   /* http: will do, to loopback */
    uint16_t port;    /* in place of the URL's; 0: the URL's */
    int64_t patience; /* ms for all of it */
};

struct http_answer {
    unsigned status;
    struct str content_type; /* as it was sent, with parameters */
    struct str body;
};

/* Before the sandbox and before any thread. */
MUST_USE bool http_prepare(struct fetch *fetch, struct failure *failure);
/* Makes the request on a helper thread; task context. The answer lives in the arena.
 * failure has words for everything but HTTP_ANSWERED. */
MUST_USE enum http_result http_exchange(struct fetch *fetch, const struct http_request *request, struct arena *arena,
                                        struct http_answer *answer, struct failure *failure);

/* ---- address.c: whom may be asked */

/* Whether an address is of the public Internet: not this machine, a private network, a link, a group or
 * reserved (RFC 6890 and its registry). */
bool address_is_public(const struct endpoint *address);

/* ---- domains.c: MTA-STS policies by domain (RFC 8461) */

/* Makes the table, of what is on disk. */
void domains_load(struct fetch *fetch);
/* Answers STS_POLICY: from what is known, or by fetching. Task context. False: not to be said now (failure). */
MUST_USE bool domains_policy(struct fetch *fetch, struct str domain, struct arena *arena,
                             struct ipc_sts_policy_given *answer, struct failure *failure);
/* Fetches again what will end and has been asked for; forgets what has ended. Task context. */
void domains_refresh(struct fetch *fetch);

/* ---- store.c: policies on disk */

struct stored_policy {
    struct str id;     /* of the TXT record that it was fetched for */
    uint64_t fetched;  /* date, seconds */
    struct str policy; /* its text */
};

/* The file's content; pure. Reading borrows from the text; false if it is torn or none of ours. */
void store_format(const struct stored_policy *policy, struct buf *text);
MUST_USE bool store_parse(struct str text, struct stored_policy *policy);
/* Reads a domain's file into text and parses it. False: there is none that is whole. */
MUST_USE bool store_read(const struct fetch *fetch, struct str domain, struct buf *text, struct stored_policy *policy);
/* Writes it in place of an older one; failing is only logged: the policy is still in memory. */
void store_write(const struct fetch *fetch, struct str domain, const struct stored_policy *policy);
void store_remove(const struct fetch *fetch, struct str domain);
/* Calls found for each domain that has a file, up to limit. */
void store_each(struct fetch *fetch, size_t limit, void (*found)(struct fetch *fetch, struct str domain));

#endif
