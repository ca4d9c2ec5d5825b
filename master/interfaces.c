/* interfaces: from the first column of master.cf to socket addresses. */
#include "interfaces.h"

#include "memory.h"

#include <netdb.h>
#include <unistd.h>

struct found {
    struct endpoint *endpoints;
    size_t limit;
    size_t count;
    bool ipv4;
    bool ipv6;
};

static bool can_bind(int family, const struct sockaddr *address, socklen_t length) {
    int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = descriptor >= 0 && bind(descriptor, address, length) == 0;
    if (descriptor >= 0)
        close(descriptor);
    return good;
}

/* A machine without IPv6 is none that has to be told inet_protocols = ipv4. */
static bool has_ipv6(void) {
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return can_bind(AF_INET6, (const struct sockaddr *)&loopback, sizeof loopback);
}

static void read_protocols(const struct config *config, struct found *found) {
    struct str rest = config->inet_protocols;
    struct str word;
    while (str_next_word(&rest, ", \t\r\n", &word)) {
        bool all = str_equal_nocase(word, STR("all"));
        found->ipv4 = found->ipv4 || all || str_equal_nocase(word, STR("ipv4"));
        found->ipv6 = found->ipv6 || ((all || str_equal_nocase(word, STR("ipv6"))) && has_ipv6());
    }
}

static bool is_known(const struct found *found, const struct endpoint *endpoint) {
    for (size_t i = 0; i < found->count; i++)
        if (endpoint_same_address(&found->endpoints[i], endpoint) &&
            endpoint_port(&found->endpoints[i]) == endpoint_port(endpoint))
            return true;
    return false;
}

static bool add(struct found *found, const struct endpoint *endpoint, struct failure *failure) {
    if (endpoint_is_ipv6(endpoint) ? !found->ipv6 : !found->ipv4)
        return true;
    if (is_known(found, endpoint))
        return true;
    if (found->count == found->limit)
        return failure_set(failure, "more than %zu addresses", found->limit);
    found->endpoints[found->count++] = *endpoint;
    return true;
}

static bool add_ip(struct found *found, const char *ip, uint16_t port, struct failure *failure) {
    struct endpoint endpoint;
    return endpoint_from_ip(str_from(ip), port, &endpoint) ? add(found, &endpoint, failure)
                                                           : failure_set(failure, "%s is no address", ip);
}

static struct str without_brackets(struct str host) {
    return str_starts(host, STR("[")) && str_ends(host, STR("]")) ? str_slice(host, 1, host.length - 1) : host;
}

/* A host name, as /etc/hosts and DNS know it; this is a start, not a session. */
static bool add_name(struct found *found, struct str name, uint16_t port, struct failure *failure) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *answers = NULL;
    char *text = memory_copy_string(name);
    int error = getaddrinfo(text, NULL, &hints, &answers);
    bool good = error == 0 || failure_set(failure, "%s: %s", text, gai_strerror(error));
    for (const struct addrinfo *answer = answers; good && answer != NULL; answer = answer->ai_next) {
        struct endpoint endpoint = {.length = answer->ai_addrlen};
        if (answer->ai_family != AF_INET && answer->ai_family != AF_INET6)
            continue;
        memcpy(&endpoint.address, answer->ai_addr, answer->ai_addrlen);
        if (answer->ai_family == AF_INET)
            endpoint.address.ipv4.sin_port = htons(port);
        else
            endpoint.address.ipv6.sin6_port = htons(port);
        good = add(found, &endpoint, failure);
    }
    if (answers != NULL)
        freeaddrinfo(answers);
    MEMORY_FREE(text);
    return good;
}

static bool add_host(struct found *found, struct str host, uint16_t port, struct failure *failure) {
    struct endpoint endpoint;
    host = without_brackets(host);
    if (endpoint_from_ip(host, port, &endpoint))
        return add(found, &endpoint, failure);
    return add_name(found, host, port, failure);
}

static bool add_interfaces(struct found *found, struct str interfaces, uint16_t port, struct failure *failure) {
    struct str word;
    while (str_next_word(&interfaces, ", \t\r\n", &word)) {
        bool good;
        if (str_equal_nocase(word, STR("all")))
            good = add_ip(found, "0.0.0.0", port, failure) && add_ip(found, "::", port, failure);
        else if (str_equal_nocase(word, STR("loopback-only")))
            good = add_ip(found, "127.0.0.1", port, failure) && add_ip(found, "::1", port, failure);
        else
            good = add_host(found, word, port, failure);
        if (!good)
            return failure_prefix(failure, "inet_interfaces");
    }
    return true;
}

static bool read_port(struct str text, uint16_t *port, struct failure *failure) {
    uint64_t number = 0;
    if (str_to_u64(text, 65535, &number) && number > 0) {
        *port = (uint16_t)number;
        return true;
    }
    char *name = memory_copy_string(text);
    const struct servent *service = getservbyname(name, "tcp");
    MEMORY_FREE(name);
    if (service == NULL)
        return failure_set(failure, "%.*s is no port and no service in /etc/services", STR_ARGS(text));
    *port = ntohs((uint16_t)service->s_port);
    return true;
}

bool interfaces_of_service(const struct config *config, struct str name, struct endpoint *endpoints, size_t limit,
                           size_t *count, struct failure *failure) {
    struct found found = {.endpoints = endpoints, .limit = limit};
    size_t colon = str_find_last(name, ':');
    struct str host = colon == STR_NONE ? STR_EMPTY : str_slice(name, 0, colon);
    uint16_t port = 0;
    *count = 0;
    read_protocols(config, &found);
    if (!read_port(colon == STR_NONE ? name : str_from_offset(name, colon + 1), &port, failure))
        return false;
    if (host.length > 0 ? !add_host(&found, host, port, failure)
                        : !add_interfaces(&found, config->inet_interfaces, port, failure))
        return false;
    if (found.count == 0)
        return failure_set(failure, "%.*s: no address is left by inet_interfaces and inet_protocols", STR_ARGS(name));
    *count = found.count;
    return true;
}
