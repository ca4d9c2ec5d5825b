/* dns_packet: DNS messages as bytes, without any I/O.
 *
 * Builds the question that goes out and reads the answer that came back, by
 * libldns; every name and length is checked here first, so that the work for a
 * packet is linear in its size whatever it holds (RFC 1035 section 4). */
#ifndef TERN_DNS_PACKET_H
#define TERN_DNS_PACKET_H

#include "buf.h"
#include "dns.h"

#define DNS_NAME_LIMIT   253  /* characters of a name in text, no trailing dot */
#define DNS_UDP_PAYLOAD  1232 /* what we say that we take in one datagram */
#define DNS_ALIAS_LIMIT  8    /* CNAMEs followed for one question */
#define DNS_RECORD_LIMIT 1024 /* records read from one answer; the rest is left out */

/* A name in text: lower case, no trailing dot, printable ASCII, labels of 1 to 63 bytes. */
struct dns_name {
    char text[DNS_NAME_LIMIT + 1];
    size_t length;
};

static inline struct str dns_name_str(const struct dns_name *name) { return str_make(name->text, name->length); }
/* Lower-cases and checks; one trailing dot is taken off. False (name untouched) if it is no DNS name. */
MUST_USE bool dns_name_set(struct dns_name *name, struct str text);
/* True for what may stand as a host's name in a header or a log: letters, digits, '-' and '_' in labels, and not
 * digits and dots alone. */
bool dns_name_is_host(struct str name);

struct dns_question {
    struct dns_name name;
    enum dns_type type;
};

/* "MX"; for texts. */
const char *dns_type_name(enum dns_type type);
/* "SERVFAIL"; "RCODE" for those without a well-known name. */
const char *dns_rcode_name(unsigned rcode);

/* Appends the question's wire form: recursion desired; with EDNS0, DO and our payload size if edns. */
MUST_USE bool dns_packet_query(const struct dns_question *question, uint16_t id, bool edns, struct buf *wire);

enum dns_packet_result {
    DNS_PACKET_ANSWER,    /* the response is filled in */
    DNS_PACKET_FOREIGN,   /* no answer to this question: to be ignored */
    DNS_PACKET_TRUNCATED, /* TC: to be asked again over TCP */
    DNS_PACKET_REFUSED,   /* the server will not or cannot say (response->rcode), or is lame (rcode 0) */
    DNS_PACKET_MALFORMED, /* an answer to this question that cannot be read */
};

enum dns_outcome {
    DNS_OUTCOME_FOUND,
    DNS_OUTCOME_NO_NAME,
    DNS_OUTCOME_NO_DATA,
    DNS_OUTCOME_ALIAS, /* the CNAMEs lead to a name of which the packet says nothing: ask for that */
};

struct dns_response {
    enum dns_outcome outcome;
    unsigned rcode;     /* with the EDNS part */
    bool authentic;     /* the AD bit as it stood in the packet */
    unsigned aliases;   /* CNAMEs that were followed; more than DNS_ALIAS_LIMIT: a loop, nothing else is set */
    struct str name;    /* where they led to */
    struct dns_record *records;
    size_t count;
    uint32_t ttl;       /* least TTL of what led here; 0: not to be kept */
};

/* Reads one message. Strings and records come from the arena. response->rcode
 * is set for ANSWER and REFUSED, everything else for ANSWER alone. */
MUST_USE enum dns_packet_result dns_packet_parse(struct str bytes, const struct dns_question *question, uint16_t id,
                                                 struct arena *arena, struct dns_response *response);

#endif
