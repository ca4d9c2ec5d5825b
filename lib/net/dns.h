/* DNS: questions asked from tasks, answers kept for their TTL.
 *
 * Packets are built and read by libldns; the transport is ours (UDP with EDNS0,
 * TCP when truncated, retries over all servers, random IDs and ports, answers
 * matched to their question). The AD bit is passed on only from servers that
 * the configuration trusts (loopback by default). */
#ifndef TERN_DNS_H
#define TERN_DNS_H

#include "clock.h"
#include "compiler.h"
#include "endpoint.h"
#include "failure.h"
#include "memory.h"
#include "str.h"

struct resolver;

enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_TLSA = 52,
};

enum dns_result {
    DNS_FOUND,
    DNS_NO_NAME, /* NXDOMAIN */
    DNS_NO_DATA, /* the name exists without this type */
    DNS_RETRY,   /* no server answered, SERVFAIL, bogus: temporary */
    DNS_INVALID, /* the question is not a DNS name */
};

struct dns_record {
    enum dns_type type;
    uint32_t ttl;
    uint16_t preference; /* MX; SRV priority */
    uint16_t weight, port; /* SRV */
    struct str name;     /* MX exchange, CNAME, PTR, SRV target: lower case, no final dot ("" is the root: null MX) */
    struct str data;     /* TXT strings joined; TLSA: usage, selector, matching type, then data */
    struct endpoint address; /* A, AAAA; port 0 */
};

struct dns_answer {
    struct dns_record *records;
    size_t count;
    struct str name;   /* the owner name after CNAMEs */
    uint32_t ttl;      /* least TTL, seconds; for negative answers from the SOA */
    bool authentic;    /* AD, from a trusted server */
    bool cname_authentic; /* as authentic, of the first alias alone (RFC 7672 section 2.2.2), when there is one */
};

struct resolver_options {
    struct endpoint servers[4];
    size_t server_count; /* 0: from /etc/resolv.conf, read at creation */
    int64_t timeout;     /* ms for one try; 0: 3000 */
    unsigned attempts;   /* over all servers; 0: 3 */
    size_t cache_entries; /* 0: 4096 */
    bool trust_any_server; /* AD from servers that are not on loopback, too */
};

/* Reads resolv.conf if it must, so create it before the sandbox closes. */
MUST_USE struct resolver *resolver_create(const struct resolver_options *options, struct failure *failure);
void resolver_destroy(struct resolver **resolver);
/* Asks, following at most 8 CNAMEs. The answer lives in the arena. failure says
 * which server said what on DNS_RETRY. */
MUST_USE enum dns_result dns_lookup(struct resolver *resolver, struct str name, enum dns_type type, deadline until,
                                    struct arena *arena, struct dns_answer *answer, struct failure *failure);
/* The PTR name of an address ("1.2.0.192.in-addr.arpa"). */
bool dns_reverse_name(const struct endpoint *address, struct buf *name);
/* Verified client name: PTR, then a forward look-up that must give the address
 * back. *name is empty when there is none. DNS_RETRY when undecided. */
MUST_USE enum dns_result dns_client_name(struct resolver *resolver, const struct endpoint *address, deadline until,
                                         struct arena *arena, struct str *name, struct str *unverified);

#endif
