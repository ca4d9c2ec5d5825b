/* tls_dane: the TLSA records of a host (RFC 6698, 7671, 7672). */
#ifndef TERN_SMTP_TLS_DANE_H
#define TERN_SMTP_TLS_DANE_H

#include "clock.h"
#include "dns.h"
#include "hosts.h"
#include "tls.h"

enum tls_dane_result {
    TLS_DANE_FOUND,
    TLS_DANE_UNSIGNED, /* the host's address is not from a validated answer: there is nothing to go by */
    TLS_DANE_ABSENT,   /* there are none, or they are not signed */
    TLS_DANE_UNUSABLE, /* there are, but none that can be gone by (RFC 7672 section 2.1.1): encrypt at least */
    TLS_DANE_RETRY,    /* nobody could say (SERVFAIL, bogus, no answer): the host must not be used */
};

struct tls_dane_records {
    struct tls_tlsa *records; /* the usable ones */
    size_t count, unusable;
    struct str base;       /* TLSA base domain: the server's name for SNI and for certificates */
    bool has_trust_anchor; /* one of usage 2, DANE-TA */
};

/* Pure: one TLSA record's data. False if it is none that RFC 7672 lets SMTP use: usage 2 or 3, selector 0 or 1,
 * matching type 0 with a certificate or key that parses, 1 or 2 with a digest of the right length. */
MUST_USE bool tls_dane_read(struct str data, struct tls_tlsa *record);

/* Asks for the records of a host at a port: at the name that its aliases lead to, then at its own (RFC 7672
 * section 2.2.2). force: also where the address is not signed. Suspends the task; texts live in the arena. */
MUST_USE enum tls_dane_result tls_dane_find(struct resolver *resolver, const struct host *host, bool force,
                                            deadline until, struct arena *arena, struct tls_dane_records *found,
                                            struct failure *failure);

#endif
