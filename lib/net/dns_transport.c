/* The wire side of DNS: sockets, tries, servers. */
#include <sys/random.h>
#include <errno.h>
#include <unistd.h>
#include "dns_transport.h"
#include "task.h"

#define DATAGRAM_LIMIT     4096  /* larger ones than we asked for come over TCP */
#define FOREIGN_LIMIT      100   /* strange datagrams in one try, then TCP: someone is guessing */
#define PORT_FIRST         1024
#define PORT_TRIES         10
#define SHUN_TIME          30000 /* ms */
#define PLAIN_TIME         600000

enum try_result {
    TRY_ANSWERED,
    TRY_TRUNCATED, /* ask over TCP */
    TRY_NO_EDNS,   /* the server does not know EDNS0 */
    TRY_REFUSED,   /* it will not say; not to be asked again */
    TRY_SILENT,    /* no answer, or no way there */
    TRY_CANCELLED,
};

struct asking {
    struct dns_transport *transport;
    const struct dns_question *question;
    struct arena *arena;
    struct dns_response *response;
    struct failure *failure;
};

/* ---- texts of failures */

static void server_failure(const struct asking *asking, const struct dns_server *server, int error, const char *what) {
    struct buf address = {0};
    endpoint_format_ip(&server->endpoint, &address);
    if (error != 0) {
        failure_set_errno(asking->failure, error, "name server %s: %s", buf_string(&address), what);
    } else {
        failure_set(asking->failure, "name server %s: %s for %s type %s", buf_string(&address), what,
                    asking->question->name.text, dns_type_name(asking->question->type));
    }
    buf_free(&address);
}

static enum try_result wait_failed(const struct asking *asking, const struct dns_server *server,
                                   enum wait_result result) {
    server_failure(asking, server, 0, result == WAIT_CANCELLED ? "question cancelled" : "no answer in time");
    return result == WAIT_CANCELLED ? TRY_CANCELLED : TRY_SILENT;
}

static enum try_result call_failed(const struct asking *asking, const struct dns_server *server, const char *call) {
    server_failure(asking, server, errno, call);
    return TRY_SILENT;
}

/* ---- one try */

static bool random_u16(uint16_t *number) { return getrandom(number, sizeof *number, 0) == (ssize_t)sizeof *number; }

/* Binds to a random port, the kernel's choice if none of ours is free. */
static void bind_random_port(int descriptor, int family) {
    for (int i = 0; i < PORT_TRIES; i++) {
        uint16_t port;
        union {
            struct sockaddr any;
            struct sockaddr_in ipv4;
            struct sockaddr_in6 ipv6;
        } local = {.any = {.sa_family = (sa_family_t)family}};
        if (!random_u16(&port)) return;
        if (port < PORT_FIRST) continue;
        if (family == AF_INET6) {
            local.ipv6.sin6_port = htons(port);
        } else {
            local.ipv4.sin_port = htons(port);
        }
        socklen_t length = family == AF_INET6 ? sizeof local.ipv6 : sizeof local.ipv4;
        if (bind(descriptor, &local.any, length) == 0) return;
    }
}

static void close_descriptor(int descriptor) {
    task_forget_descriptor(descriptor);
    close(descriptor);
}

/* What the bytes mean for this try. FOREIGN is the caller's affair. */
static enum try_result judge(const struct asking *asking, const struct dns_server *server,
                             enum dns_packet_result parsed, bool edns) {
    unsigned rcode = asking->response->rcode;
    switch (parsed) {
    case DNS_PACKET_ANSWER: asking->response->authentic &= server->trusted; return TRY_ANSWERED;
    case DNS_PACKET_TRUNCATED: return TRY_TRUNCATED;
    case DNS_PACKET_FOREIGN: break;
    case DNS_PACKET_MALFORMED: break;
    case DNS_PACKET_REFUSED:
        if (edns && (rcode == 1 || rcode == 4 || rcode == 16)) return TRY_NO_EDNS;
        server_failure(asking, server, 0, rcode == 0 ? "no authority and no recursion" : dns_rcode_name(rcode));
        return TRY_REFUSED;
    }
    server_failure(asking, server, 0, "malformed answer");
    return TRY_REFUSED;
}

/* Datagrams until one is the answer. */
static enum try_result udp_receive(const struct asking *asking, const struct dns_server *server, int descriptor,
                                   uint16_t id, bool edns, deadline until) {
    char datagram[DATAGRAM_LIMIT];
    for (int foreign = 0; foreign < FOREIGN_LIMIT;) {
        ssize_t length = recv(descriptor, datagram, sizeof datagram, MSG_TRUNC);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0 && errno == EAGAIN) {
            enum wait_result waited = task_wait_readable(descriptor, until);
            if (waited != WAIT_READY) return wait_failed(asking, server, waited);
            continue;
        }
        if (length < 0) return call_failed(asking, server, "receive");
        bool cut = (size_t)length > sizeof datagram;
        if (cut) length = sizeof datagram;
        if (cut && length >= 2 && (uint16_t)((uint8_t)datagram[0] << 8 | (uint8_t)datagram[1]) == id)
            return TRY_TRUNCATED;
        enum dns_packet_result parsed = dns_packet_parse(str_make(datagram, (size_t)length), asking->question, id,
                                                         asking->arena, asking->response);
        if (parsed != DNS_PACKET_FOREIGN) return judge(asking, server, parsed, edns);
        foreign++;
    }
    return TRY_TRUNCATED;
}

static enum try_result udp_try(const struct asking *asking, const struct dns_server *server, bool edns) {
    deadline until = deadline_in(asking->transport->timeout);
    const struct endpoint *endpoint = &server->endpoint;
    struct buf query = {0};
    uint16_t id;
    if (!random_u16(&id)) return call_failed(asking, server, "getrandom");
    int family = endpoint->address.any.sa_family;
    int descriptor = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return call_failed(asking, server, "socket");
    enum try_result result = TRY_SILENT;
    bind_random_port(descriptor, family);
    if (!dns_packet_query(asking->question, id, edns, &query)) {
        server_failure(asking, server, 0, "question cannot be built");
    } else if (connect(descriptor, &endpoint->address.any, endpoint->length) != 0) {
        call_failed(asking, server, "connect");
    } else if (send(descriptor, query.data, query.length, MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        call_failed(asking, server, "send"); /* EAGAIN: as if the datagram were lost */
    } else {
        result = udp_receive(asking, server, descriptor, id, edns, until);
    }
    buf_free(&query);
    close_descriptor(descriptor);
    return result;
}

/* ---- TCP (RFC 7766): two bytes of length before each message */

static enum try_result tcp_send(const struct asking *asking, const struct dns_server *server, int descriptor,
                                struct str bytes, deadline until) {
    while (bytes.length > 0) {
        ssize_t sent = send(descriptor, bytes.data, bytes.length, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes = str_from_offset(bytes, (size_t)sent);
        } else if (errno == EAGAIN) {
            enum wait_result waited = task_wait_writable(descriptor, until);
            if (waited != WAIT_READY) return wait_failed(asking, server, waited);
        } else if (errno != EINTR) {
            return call_failed(asking, server, "send");
        }
    }
    return TRY_ANSWERED;
}

static enum try_result tcp_receive(const struct asking *asking, const struct dns_server *server, int descriptor,
                                   char *data, size_t length, deadline until) {
    while (length > 0) {
        ssize_t got = recv(descriptor, data, length, 0);
        if (got > 0) {
            data += got;
            length -= (size_t)got;
        } else if (got == 0) {
            server_failure(asking, server, 0, "connection closed");
            return TRY_SILENT;
        } else if (errno == EAGAIN) {
            enum wait_result waited = task_wait_readable(descriptor, until);
            if (waited != WAIT_READY) return wait_failed(asking, server, waited);
        } else if (errno != EINTR) {
            return call_failed(asking, server, "receive");
        }
    }
    return TRY_ANSWERED;
}

static enum try_result tcp_exchange(const struct asking *asking, const struct dns_server *server, int descriptor,
                                    uint16_t id, struct str query, bool edns, deadline until) {
    char prefix[2];
    enum try_result result = tcp_send(asking, server, descriptor, query, until);
    if (result != TRY_ANSWERED) return result;
    result = tcp_receive(asking, server, descriptor, prefix, sizeof prefix, until);
    if (result != TRY_ANSWERED) return result;
    struct buf message = {0};
    size_t length = (size_t)((uint8_t)prefix[0] << 8 | (uint8_t)prefix[1]);
    char *room = buf_reserve(&message, length + 1);
    result = room ? tcp_receive(asking, server, descriptor, room, length, until) : TRY_SILENT;
    if (result == TRY_ANSWERED) {
        buf_commit(&message, length);
        result = judge(asking, server,
                       dns_packet_parse(buf_str(&message), asking->question, id, asking->arena, asking->response),
                       edns);
    }
    if (result == TRY_TRUNCATED) {
        server_failure(asking, server, 0, "truncated answer over TCP");
        result = TRY_REFUSED;
    }
    buf_free(&message);
    return result;
}

static enum try_result tcp_try(const struct asking *asking, const struct dns_server *server, bool edns) {
    deadline until = deadline_in(asking->transport->timeout);
    struct buf query = {0};
    enum try_result result = TRY_SILENT;
    uint16_t id;
    if (!random_u16(&id)) return call_failed(asking, server, "getrandom");
    buf_append_bytes(&query, "\0\0", 2);
    if (!dns_packet_query(asking->question, id, edns, &query)) {
        server_failure(asking, server, 0, "question cannot be built");
        buf_free(&query);
        return TRY_SILENT;
    }
    query.data[0] = (char)((query.length - 2) >> 8);
    query.data[1] = (char)((query.length - 2) & 0xff);
    int descriptor = endpoint_connect(&server->endpoint, NULL, until, asking->failure);
    if (descriptor >= 0) {
        result = tcp_exchange(asking, server, descriptor, id, buf_str(&query), edns, until);
        close_descriptor(descriptor);
    } else {
        failure_prefix(asking->failure, "name server");
        if (task_is_cancelled(task_current())) result = TRY_CANCELLED;
    }
    buf_free(&query);
    return result;
}

/* ---- over all servers */

static enum try_result ask_server(const struct asking *asking, struct dns_server *server) {
    bool edns = server->plain < clock_monotonic(), tcp = false;
    for (;;) {
        enum try_result result = tcp ? tcp_try(asking, server, edns) : udp_try(asking, server, edns);
        if (result == TRY_TRUNCATED && !tcp) {
            tcp = true;
        } else if (result == TRY_NO_EDNS && edns) {
            edns = false;
            server->plain = deadline_in(PLAIN_TIME);
        } else {
            return result;
        }
    }
}

/* The servers in the order in which to ask them: as configured, those that were silent lately last. */
static void order_servers(struct dns_transport *transport, struct dns_server *order[DNS_SERVERS]) {
    size_t placed = 0;
    deadline now = clock_monotonic();
    for (int shunned = 0; shunned < 2; shunned++) {
        for (size_t i = 0; i < transport->server_count; i++) {
            struct dns_server *server = &transport->servers[i];
            if ((server->shunned > now) == (shunned == 1)) order[placed++] = server;
        }
    }
}

bool dns_transport_ask(struct dns_transport *transport, const struct dns_question *question, struct arena *arena,
                       struct dns_response *response, struct failure *failure) {
    struct dns_response answer = {.name = STR_EMPTY};
    struct asking asking = {transport, question, arena, &answer, failure};
    struct dns_server *order[DNS_SERVERS];
    bool refused[DNS_SERVERS] = {false};
    order_servers(transport, order);
    failure_set(failure, "no name server");
    for (unsigned round = 0; round < transport->attempts; round++) {
        for (size_t i = 0; i < transport->server_count; i++) {
            if (refused[i]) continue;
            enum try_result result = ask_server(&asking, order[i]);
            if (result == TRY_CANCELLED) return false;
            if (result == TRY_ANSWERED) {
                order[i]->shunned = 0;
                *response = answer;
                return true;
            }
            if (result == TRY_SILENT) {
                order[i]->shunned = deadline_in(SHUN_TIME);
            } else {
                refused[i] = true;
            }
        }
    }
    return false;
}
