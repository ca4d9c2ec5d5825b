/* endpoint: socket addresses as values, listening, connecting.
 *
 * Text forms are those of main.cf and master.cf: "127.0.0.1:25", "[::1]:25",
 * "inet:host:port", "unix:path". Names are not resolved here (see dns.h). */
#ifndef TERN_ENDPOINT_H
#define TERN_ENDPOINT_H

#include "buf.h"
#include "clock.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/un.h>

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    } address;
    socklen_t length;
};

/* Numeric IP address (no brackets) and port. False if it is no address. */
MUST_USE bool endpoint_from_ip(struct str ip, uint16_t port, struct endpoint *endpoint);
/* "ADDRESS:PORT", "[ADDRESS]:PORT", "unix:/path"; a service name is accepted as port. */
MUST_USE bool endpoint_parse(struct str text, struct endpoint *endpoint, struct failure *failure);
MUST_USE bool endpoint_from_path(struct str path, struct endpoint *endpoint);
MUST_USE bool endpoint_of_peer(int descriptor, struct endpoint *endpoint);
MUST_USE bool endpoint_of_self(int descriptor, struct endpoint *endpoint);
/* The address without port, as logs and Received have it: "192.0.2.1", "2001:db8::1"
 * (IPv4-mapped IPv6 as IPv4); "unknown" for UNIX sockets. */
bool endpoint_format_ip(const struct endpoint *endpoint, struct buf *text);
uint16_t endpoint_port(const struct endpoint *endpoint);
bool endpoint_is_ipv6(const struct endpoint *endpoint);
bool endpoint_is_local(const struct endpoint *endpoint); /* a UNIX socket */
bool endpoint_is_loopback(const struct endpoint *endpoint);
/* Same address, port ignored. */
bool endpoint_same_address(const struct endpoint *a, const struct endpoint *b);

/* A listening, non-blocking, close-on-exec stream socket (SO_REUSEADDR, V6ONLY). */
MUST_USE int endpoint_listen(const struct endpoint *endpoint, int backlog, struct failure *failure);
/* Connects, suspending the task; bind_to may be NULL. -1 on failure (failure has errno; ETIMEDOUT at the deadline). */
MUST_USE int endpoint_connect(const struct endpoint *endpoint, const struct endpoint *bind_to, deadline until, struct failure *failure);

#endif
