/* dns_transport: one question on the wire until some server has answered it.
 *
 * UDP from a new random port with a random ID for each try (RFC 5452), EDNS0,
 * TCP when the answer was cut, all servers in turn, several rounds. A server
 * that did not answer goes to the end of the order for a while. */
#ifndef TERN_DNS_TRANSPORT_H
#define TERN_DNS_TRANSPORT_H

#include "dns_packet.h"

#define DNS_SERVERS 4

struct dns_server {
    struct endpoint endpoint;
    bool trusted;        /* its AD bit counts */
    deadline shunned;    /* until then it is asked after the others */
    deadline plain;      /* until then it is asked without EDNS */
};

struct dns_transport {
    struct dns_server servers[DNS_SERVERS];
    size_t server_count;
    int64_t timeout; /* ms for one try */
    unsigned attempts; /* rounds over all servers */
};

/* Asks, suspending the task, for at most attempts * server_count tries (twice
 * that when truncated). The response lives in the arena; its AD bit is cleared
 * unless the server is trusted. False: nobody gave an answer; failure says why. */
MUST_USE bool dns_transport_ask(struct dns_transport *transport, const struct dns_question *question,
                                struct arena *arena, struct dns_response *response, struct failure *failure);

#endif
