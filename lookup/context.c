/* The context: made of a configuration alone, so that tests can make one. */
#include "lookup.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>

struct lookup *lookup_create(const struct config *config) {
    struct lookup *lookup = MEMORY_NEW(struct lookup);
    lookup->config = config;
    lookup->accounts = accounts_create();
    lookup->tables = tables_create(config, lookup->accounts);
#define GET(name) lookup->name = tables_of(lookup->tables, STR(#name));
    LOOKUP_MAPS(GET)
#undef GET
#define GET(name) lookup->name = tables_list(lookup->tables, STR(#name));
    LOOKUP_LISTS(GET)
#undef GET
    lookup_permit_tables(lookup);
    return lookup;
}

void lookup_destroy(struct lookup **lookup) {
    if (!*lookup) return;
    tables_destroy(&(*lookup)->tables);
    accounts_destroy(&(*lookup)->accounts);
    if ((*lookup)->resolver) resolver_destroy(&(*lookup)->resolver);
    MEMORY_FREE((*lookup)->interfaces);
    MEMORY_FREE(*lookup);
}

void lookup_open_tables(struct lookup *lookup) {
#define OPEN(name) maps_open(lookup->name);
    LOOKUP_MAPS(OPEN)
#undef OPEN
#define OPEN(name) list_open(lookup->name);
    LOOKUP_LISTS(OPEN)
#undef OPEN
}

/* ---- this machine's addresses */

static bool add_interface(struct lookup *lookup, const struct sockaddr *address) {
    struct endpoint endpoint = {0};
    if (address && address->sa_family == AF_INET)
        endpoint.length = sizeof endpoint.address.ipv4;
    else if (address && address->sa_family == AF_INET6)
        endpoint.length = sizeof endpoint.address.ipv6;
    else
        return false;
    memcpy(&endpoint.address, address, endpoint.length);
    lookup->interfaces = memory_resize(lookup->interfaces, lookup->interface_count + 1, sizeof endpoint);
    lookup->interfaces[lookup->interface_count++] = endpoint;
    return true;
}

bool lookup_find_interfaces(struct lookup *lookup, struct failure *failure) {
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0) return failure_set_errno(failure, errno, "cannot list the network interfaces");
    for (const struct ifaddrs *one = all; one; one = one->ifa_next)
        (void)add_interface(lookup, one->ifa_addr);
    freeifaddrs(all);
    return true;
}

static bool is_interface(const struct lookup *lookup, const struct endpoint *address) {
    for (size_t i = 0; i < lookup->interface_count; i++)
        if (endpoint_same_address(&lookup->interfaces[i], address)) return true;
    return false;
}

static bool without_brackets(struct str text, struct endpoint *endpoint) {
    if (text.length > 2 && text.data[0] == '[' && text.data[text.length - 1] == ']')
        text = str_slice(text, 1, text.length - 1);
    return endpoint_from_ip(text, 0, endpoint);
}

/* A list in which names stand for some address of this machine: which one is not
 * asked, so all its addresses count then. */
static bool list_has_address(const struct lookup *lookup, struct str list, const struct endpoint *address) {
    struct str word;
    while (str_next_word(&list, ", \t\r\n", &word)) {
        struct endpoint listed;
        if (str_equal_nocase(word, STR("loopback-only"))) {
            if (endpoint_is_loopback(address)) return true;
        } else if (without_brackets(word, &listed)) {
            if (endpoint_same_address(&listed, address)) return true;
        } else if (is_interface(lookup, address)) {
            return true;
        }
    }
    return false;
}

bool lookup_is_own_address(const struct lookup *lookup, struct str ip) {
    struct endpoint address;
    if (!endpoint_from_ip(ip, 0, &address)) return false;
    return list_has_address(lookup, lookup->config->inet_interfaces, &address) ||
           list_has_address(lookup, lookup->config->proxy_interfaces, &address);
}
