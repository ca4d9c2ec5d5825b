/* Which addresses are of the public Internet: from the special-purpose registries (RFC 6890). What a stranger's
 * record names must not make fetch a way into the networks that this machine is in. */
#include "fetch.h"

struct prefix {
    uint8_t bytes[16];
    unsigned bits;
};

static const struct prefix special_ipv4[] = {
    {{0}, 8},             /* this network */
    {{10}, 8},            /* private */
    {{100, 64}, 10},      /* shared by a provider */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarks */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 3},           /* groups, reserved, broadcast */
};

static const struct prefix special_ipv6[] = {
    {{0x20, 0x01, 0x00}, 23},       /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4: an IPv4 address of anybody's choice */
    {{0x3f, 0xff}, 20},             /* documentation */
};

/* Global unicast that is in use; whatever lies outside is not public. */
static const struct prefix global_ipv6 = {{0x20}, 3};

static bool is_within(const uint8_t *address, const struct prefix *prefix) {
    unsigned bytes = prefix->bits / 8, rest = prefix->bits % 8;
    if (memcmp(address, prefix->bytes, bytes) != 0) return false;
    return rest == 0 || ((address[bytes] ^ prefix->bytes[bytes]) >> (8 - rest)) == 0;
}

static bool is_special(const uint8_t *address, const struct prefix *prefixes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (is_within(address, &prefixes[i])) return true;
    return false;
}

bool address_is_public(const struct endpoint *address) {
    if (address->address.any.sa_family == AF_INET) {
        uint8_t bytes[4];
        memcpy(bytes, &address->address.ipv4.sin_addr, sizeof bytes);
        return !is_special(bytes, special_ipv4, ARRAY_LENGTH(special_ipv4));
    }
    if (address->address.any.sa_family != AF_INET6) return false;
    const uint8_t *bytes = address->address.ipv6.sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address->address.ipv6.sin6_addr))
        return !is_special(bytes + 12, special_ipv4, ARRAY_LENGTH(special_ipv4));
    return is_within(bytes, &global_ipv6) && !is_special(bytes, special_ipv6, ARRAY_LENGTH(special_ipv6));
}
