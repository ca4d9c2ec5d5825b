/* Addresses and networks in text, as tables and match lists write them. Pure. */
#ifndef TERN_IP_PREFIX_H
#define TERN_IP_PREFIX_H

#include "compiler.h"
#include "str.h"

struct ip_prefix {
    uint8_t bytes[16];   /* network order; IPv4 uses the first four */
    unsigned bits;       /* of the network: 32 or 128 for one address */
    bool is_ipv6;
};

/* "192.0.2.1" or "2001:db8::1", in brackets or not. IPv4 mapped into IPv6
 * (::ffff:192.0.2.1) becomes IPv4. */
MUST_USE bool ip_address_parse(struct str text, struct ip_prefix *address);

enum ip_prefix_result {
    IP_PREFIX_OK,
    IP_PREFIX_MALFORMED,
    IP_PREFIX_HOST_BITS, /* "192.0.2.1/24": bits are set beyond the network; *prefix has them cleared */
};
/* The same with an optional "/bits"; brackets may enclose address or all. */
MUST_USE enum ip_prefix_result ip_prefix_parse(struct str text, struct ip_prefix *prefix);

/* True if the address lies in the network. */
bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_prefix *address);

#endif
