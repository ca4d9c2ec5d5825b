/* Socket addresses: text forms, comparison, listening, connecting. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include "endpoint.h"
#include "task.h"

/* ---- from text */

bool endpoint_from_ip(struct str ip, uint16_t port, struct endpoint *endpoint) {
    struct endpoint made = {0};
    char text[INET6_ADDRSTRLEN];

    if (ip.length == 0 || ip.length >= sizeof(text) || str_find(ip, '\0') != STR_NONE) return false;
    memcpy(text, ip.data, ip.length);
    text[ip.length] = '\0';
    if (inet_pton(AF_INET, text, &made.address.ipv4.sin_addr) == 1) {
        made.address.ipv4.sin_family = AF_INET;
        made.address.ipv4.sin_port = htons(port);
        made.length = sizeof(made.address.ipv4);
    } else if (inet_pton(AF_INET6, text, &made.address.ipv6.sin6_addr) == 1) {
        made.address.ipv6.sin6_family = AF_INET6;
        made.address.ipv6.sin6_port = htons(port);
        made.length = sizeof(made.address.ipv6);
    } else {
        return false;
    }
    *endpoint = made;
    return true;
}

bool endpoint_from_path(struct str path, struct endpoint *endpoint) {
    struct endpoint made = {0};

    if (path.length == 0 || path.length >= sizeof(made.address.local.sun_path)) return false;
    if (str_find(path, '\0') != STR_NONE) return false;
    made.address.local.sun_family = AF_UNIX;
    memcpy(made.address.local.sun_path, path.data, path.length);
    made.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.length + 1);
    *endpoint = made;
    return true;
}

/* The names a mail server's configuration uses are known even where there is no
 * /etc/services. */
static bool port_from(struct str text, uint16_t *port) {
    static const struct {
        struct str name;
        uint16_t port;
    } names[] = {
        {STR_INIT("smtp"), 25},        {STR_INIT("lmtp"), 24},   {STR_INIT("submission"), 587}, {STR_INIT("submissions"), 465},
        {STR_INIT("smtps"), 465},      {STR_INIT("pop3"), 110},  {STR_INIT("pop3s"), 995},      {STR_INIT("imap"), 143},
        {STR_INIT("imaps"), 993},
    };
    const struct servent *service;
    uint64_t number;
    char name[64];

    if (str_to_u64(text, 65535, &number)) {
        *port = (uint16_t)number;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (!str_equal_nocase(text, names[i].name)) continue;
        *port = names[i].port;
        return true;
    }
    if (text.length == 0 || text.length >= sizeof(name) || !ascii_is_alnum(text.data[0]) || !str_is_printable(text)) return false;
    if (ascii_is_digit(text.data[0])) return false; /* a number out of range */
    memcpy(name, text.data, text.length);
    name[text.length] = '\0';
    service = getservbyname(name, "tcp");
    if (!service) return false;
    *port = ntohs((uint16_t)service->s_port);
    return true;
}

bool endpoint_parse(struct str text, struct endpoint *endpoint, struct failure *failure) {
    struct str host, port_text;
    uint16_t port;
    size_t colon;

    if (str_starts(text, STR("unix:"))) {
        if (endpoint_from_path(str_from_offset(text, 5), endpoint)) return true;
        return failure_set(failure, "\"%.*s\": the path is empty or too long", STR_ARGS(text));
    }
    if (str_starts(text, STR("inet:"))) text = str_from_offset(text, 5);
    if (str_starts(text, STR("["))) {
        size_t end = str_find(text, ']');
        if (end == STR_NONE || end + 1 >= text.length || text.data[end + 1] != ':')
            return failure_set(failure, "\"%.*s\": expected [ADDRESS]:PORT", STR_ARGS(text));
        host = str_slice(text, 1, end);
        port_text = str_from_offset(text, end + 2);
    } else {
        colon = str_find(text, ':');
        if (colon == STR_NONE || colon != str_find_last(text, ':'))
            return failure_set(failure, "\"%.*s\": expected ADDRESS:PORT (IPv6 in brackets)", STR_ARGS(text));
        host = str_slice(text, 0, colon);
        port_text = str_from_offset(text, colon + 1);
    }
    if (!port_from(port_text, &port)) return failure_set(failure, "\"%.*s\": unknown port", STR_ARGS(text));
    if (endpoint_from_ip(host, port, endpoint)) return true;
    return failure_set(failure, "\"%.*s\": not a numeric IP address", STR_ARGS(text));
}

bool endpoint_of_peer(int descriptor, struct endpoint *endpoint) {
    struct endpoint found = {.length = sizeof(found.address)};

    if (getpeername(descriptor, &found.address.any, &found.length) != 0) return false;
    *endpoint = found;
    return true;
}

bool endpoint_of_self(int descriptor, struct endpoint *endpoint) {
    struct endpoint found = {.length = sizeof(found.address)};

    if (getsockname(descriptor, &found.address.any, &found.length) != 0) return false;
    *endpoint = found;
    return true;
}

/* ---- properties */

/* The IPv4 address, also if it is mapped into IPv6; NULL if it is none. */
static const unsigned char *ipv4_bytes(const struct endpoint *endpoint) {
    if (endpoint->address.any.sa_family == AF_INET) return (const unsigned char *)&endpoint->address.ipv4.sin_addr;
    if (endpoint_is_ipv6(endpoint) && IN6_IS_ADDR_V4MAPPED(&endpoint->address.ipv6.sin6_addr))
        return endpoint->address.ipv6.sin6_addr.s6_addr + 12;
    return NULL;
}

bool endpoint_format_ip(const struct endpoint *endpoint, struct buf *text) {
    char formatted[INET6_ADDRSTRLEN];
    const unsigned char *ipv4 = ipv4_bytes(endpoint);

    if (ipv4) return buf_printf(text, "%u.%u.%u.%u", ipv4[0], ipv4[1], ipv4[2], ipv4[3]);
    if (endpoint_is_ipv6(endpoint) && inet_ntop(AF_INET6, &endpoint->address.ipv6.sin6_addr, formatted, sizeof(formatted)))
        return buf_append(text, str_from(formatted));
    return buf_append(text, STR("unknown"));
}

uint16_t endpoint_port(const struct endpoint *endpoint) {
    if (endpoint->address.any.sa_family == AF_INET) return ntohs(endpoint->address.ipv4.sin_port);
    if (endpoint_is_ipv6(endpoint)) return ntohs(endpoint->address.ipv6.sin6_port);
    return 0;
}

bool endpoint_is_ipv6(const struct endpoint *endpoint) {
    return endpoint->address.any.sa_family == AF_INET6;
}

bool endpoint_is_local(const struct endpoint *endpoint) {
    return endpoint->address.any.sa_family == AF_UNIX;
}

bool endpoint_is_loopback(const struct endpoint *endpoint) {
    const unsigned char *ipv4 = ipv4_bytes(endpoint);

    if (ipv4) return ipv4[0] == 127;
    return endpoint_is_ipv6(endpoint) && IN6_IS_ADDR_LOOPBACK(&endpoint->address.ipv6.sin6_addr);
}

static struct str local_path(const struct endpoint *endpoint) {
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    size_t length = endpoint->length > offset ? endpoint->length - offset : 0;

    if (length > sizeof(endpoint->address.local.sun_path)) length = sizeof(endpoint->address.local.sun_path);
    /* A path ends at its NUL; an abstract name begins with one. */
    if (length > 0 && endpoint->address.local.sun_path[0] != '\0') length = strnlen(endpoint->address.local.sun_path, length);
    return str_make(endpoint->address.local.sun_path, length);
}

bool endpoint_same_address(const struct endpoint *a, const struct endpoint *b) {
    const unsigned char *first = ipv4_bytes(a), *second = ipv4_bytes(b);

    if (first || second) return first && second && memcmp(first, second, 4) == 0;
    if (endpoint_is_ipv6(a) && endpoint_is_ipv6(b))
        return IN6_ARE_ADDR_EQUAL(&a->address.ipv6.sin6_addr, &b->address.ipv6.sin6_addr) &&
               a->address.ipv6.sin6_scope_id == b->address.ipv6.sin6_scope_id;
    return endpoint_is_local(a) && endpoint_is_local(b) && str_equal(local_path(a), local_path(b));
}

/* ---- sockets */

/* A socket file that nobody listens on is left over from a crash. */
static bool remove_stale(const struct endpoint *endpoint) {
    struct stat status;
    const char *path = endpoint->address.local.sun_path;
    bool stale;
    int probe;

    if (!endpoint_is_local(endpoint) || path[0] == '\0') return false;
    if (lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return false;
    stale = connect(probe, &endpoint->address.any, endpoint->length) != 0 && errno == ECONNREFUSED;
    close(probe);
    return stale && unlink(path) == 0;
}

static int fail(int descriptor, struct failure *failure, int error_number, const char *what, const struct endpoint *endpoint) {
    struct buf name = buf_make(0);

    if (endpoint_is_local(endpoint))
        buf_append(&name, local_path(endpoint));
    else {
        endpoint_format_ip(endpoint, &name);
        buf_printf(&name, " port %u", endpoint_port(endpoint));
    }
    failure_set_errno(failure, error_number, "%s %s", what, buf_string(&name));
    buf_free(&name);
    if (descriptor >= 0) {
        task_forget_descriptor(descriptor);
        close(descriptor);
    }
    return -1;
}

static int open_socket(const struct endpoint *endpoint) {
    return socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int endpoint_listen(const struct endpoint *endpoint, int backlog, struct failure *failure) {
    static const int on = 1;
    int descriptor = open_socket(endpoint);

    if (descriptor < 0) return fail(-1, failure, errno, "socket for", endpoint);
    if (!endpoint_is_local(endpoint)) setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (endpoint_is_ipv6(endpoint)) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(descriptor, &endpoint->address.any, endpoint->length) != 0) {
        int error_number = errno;
        if (error_number != EADDRINUSE || !remove_stale(endpoint) ||
            bind(descriptor, &endpoint->address.any, endpoint->length) != 0)
            return fail(descriptor, failure, error_number, "bind to", endpoint);
    }
    if (listen(descriptor, backlog) != 0) return fail(descriptor, failure, errno, "listen on", endpoint);
    return descriptor;
}

/* Waits for a connection under way; an errno value, 0 when it stands. */
static int finish_connecting(int descriptor, deadline until) {
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);
        int error_number = 0;
        socklen_t length = sizeof(error_number);

        switch (task_wait_writable(descriptor, until)) {
        case WAIT_READY: break;
        case WAIT_TIMEOUT: return ETIMEDOUT;
        case WAIT_CANCELLED: return ECANCELED;
        }
        if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error_number, &length) != 0) return errno;
        if (error_number != 0) return error_number;
        if (getpeername(descriptor, (struct sockaddr *)&peer, &size) == 0) return 0; /* else a spurious wake */
    }
}

int endpoint_connect(const struct endpoint *endpoint, const struct endpoint *bind_to, deadline until, struct failure *failure) {
    enum { LOCAL_QUEUE_PAUSE = 10 };
    int descriptor = open_socket(endpoint);
    int error_number = 0;

    if (descriptor < 0) return fail(-1, failure, errno, "socket for", endpoint);
    if (bind_to && bind_to->length > 0) {
#ifdef IP_BIND_ADDRESS_NO_PORT
        static const int on = 1;
        if (endpoint_port(bind_to) == 0) setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
#endif
        if (bind(descriptor, &bind_to->address.any, bind_to->length) != 0)
            return fail(descriptor, failure, errno, "bind to", bind_to);
    }
    while (connect(descriptor, &endpoint->address.any, endpoint->length) != 0) {
        error_number = errno;
        if (error_number == EINPROGRESS || error_number == EINTR) {
            error_number = finish_connecting(descriptor, until);
            break;
        }
        /* A UNIX socket whose queue is full says EAGAIN and wakes nobody. */
        if (error_number != EAGAIN || !endpoint_is_local(endpoint)) break;
        error_number = ETIMEDOUT;
        if (deadline_left(until) == 0) break;
        error_number = ECANCELED;
        if (task_sleep(LOCAL_QUEUE_PAUSE) == WAIT_CANCELLED) break;
        error_number = 0;
    }
    if (error_number != 0) return fail(descriptor, failure, error_number, "connect to", endpoint);
    return descriptor;
}
