/* What main.cf's defaults take from the machine: its name and its networks. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include "buf.h"
#include "config_load.h"
#include "memory.h"

/* Appends "address/bits", IPv6 in brackets, the host part zeroed; nothing if it is there already. */
static void add_network(struct buf *list, int family, const unsigned char *address, unsigned bits) {
    unsigned char network[16] = {0};
    char text[INET6_ADDRSTRLEN];
    struct buf item = buf_make(0);
    size_t bytes = family == AF_INET ? 4 : 16;

    for (size_t i = 0; i < bytes && 8 * i < bits; i++) {
        unsigned left = bits - 8 * (unsigned)i;
        network[i] = (unsigned char)(left >= 8 ? address[i] : address[i] & (0xff00u >> left));
    }
    if (inet_ntop(family, network, text, sizeof(text)))
        buf_printf(&item, family == AF_INET ? "%s/%u" : "[%s]/%u", text, bits);

    struct str rest = buf_str(list), word;
    bool known = false;
    while (!known && str_next_word(&rest, " ", &word))
        known = str_equal(word, buf_str(&item));
    if (!known && item.length > 0) {
        if (list->length > 0)
            buf_append_char(list, ' ');
        buf_append(list, buf_str(&item));
    }
    buf_free(&item);
}

static unsigned mask_bits(const unsigned char *mask, size_t bytes) {
    unsigned bits = 0;
    while (bits < 8 * bytes && (mask[bits / 8] & (0x80u >> (bits % 8))))
        bits++;
    return bits;
}

/* A, B, C by the first bits of an IPv4 address (RFC 791). */
static unsigned class_bits(const unsigned char *address) {
    if (address[0] < 128)
        return 8;
    return address[0] < 192 ? 16 : 24;
}

struct networks {
    struct buf host, subnet, class;
};

static void add_interface(struct networks *networks, const struct ifaddrs *interface) {
    const struct sockaddr *address = interface->ifa_addr, *mask = interface->ifa_netmask;
    if (!address || !mask || !(interface->ifa_flags & IFF_UP))
        return;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in own, bits;
        memcpy(&own, address, sizeof(own));
        memcpy(&bits, mask, sizeof(bits));
        const unsigned char *bytes = (const unsigned char *)&own.sin_addr;
        bool loopback = bytes[0] == 127;
        unsigned subnet = mask_bits((const unsigned char *)&bits.sin_addr, 4);
        add_network(&networks->host, AF_INET, bytes, loopback ? 8 : 32);
        add_network(&networks->subnet, AF_INET, bytes, subnet);
        add_network(&networks->class, AF_INET, bytes, class_bits(bytes));
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 own, bits;
        memcpy(&own, address, sizeof(own));
        memcpy(&bits, mask, sizeof(bits));
        const unsigned char *bytes = own.sin6_addr.s6_addr;
        unsigned subnet = mask_bits(bits.sin6_addr.s6_addr, 16);
        /* Link-local addresses of all interfaces are alike: nobody is trusted for one but ourselves. */
        add_network(&networks->host, AF_INET6, bytes, 128);
        add_network(&networks->subnet, AF_INET6, bytes, subnet);
        add_network(&networks->class, AF_INET6, bytes, subnet);
    }
}

static struct str keep(struct arena *arena, struct str text) {
    struct str copy;
    if (!arena_copy(arena, text, &copy)) /* the arena has no limit */
        memory_exhausted(text.length);
    return copy;
}

void config_system_read(struct config_system *machine) {
    struct config_system made = {.arena = arena_create(0), .config_directory = STR_EMPTY};
    struct networks networks = {.host = buf_make(0)};
    struct ifaddrs *interfaces = NULL;
    char host[256] = "";

    if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
        snprintf(host, sizeof(host), "localhost");
    made.hostname = keep(made.arena, str_from(host));
    if (getifaddrs(&interfaces) == 0) {
        for (const struct ifaddrs *interface = interfaces; interface; interface = interface->ifa_next)
            add_interface(&networks, interface);
        freeifaddrs(interfaces);
    }
    if (networks.host.length == 0) {
        buf_append(&networks.host, STR("127.0.0.0/8 [::1]/128"));
        buf_append(&networks.subnet, STR("127.0.0.0/8 [::1]/128"));
        buf_append(&networks.class, STR("127.0.0.0/8 [::1]/128"));
    }
    made.networks_host = keep(made.arena, buf_str(&networks.host));
    made.networks_subnet = keep(made.arena, buf_str(&networks.subnet));
    made.networks_class = keep(made.arena, buf_str(&networks.class));
    buf_free(&networks.host);
    buf_free(&networks.subnet);
    buf_free(&networks.class);
    *machine = made;
}

void config_system_free(struct config_system *machine) {
    if (machine->arena)
        arena_destroy(&machine->arena);
    *machine = (struct config_system){.arena = NULL};
}
