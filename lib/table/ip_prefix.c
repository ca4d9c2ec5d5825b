/* Addresses and networks in text. */
#include "ip_prefix.h"

#include <arpa/inet.h>
#include <string.h>

#define ADDRESS_TEXT_MAX 63

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Without brackets; IPv4 mapped into IPv6 stays IPv6. */
static bool parse_bare(struct str text, struct ip_prefix *address) {
    char copy[ADDRESS_TEXT_MAX + 1];
    if (text.length == 0 || text.length > ADDRESS_TEXT_MAX || str_find(text, '\0') != STR_NONE) return false;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    struct ip_prefix result = {.bits = 32};
    result.is_ipv6 = str_find(text, ':') != STR_NONE;
    if (result.is_ipv6) result.bits = 128;
    if (inet_pton(result.is_ipv6 ? AF_INET6 : AF_INET, copy, result.bytes) != 1) return false;
    *address = result;
    return true;
}

static void unmap(struct ip_prefix *prefix) {
    if (!prefix->is_ipv6 || prefix->bits < 96 || memcmp(prefix->bytes, mapped_prefix, 12) != 0) return;
    struct ip_prefix ipv4 = {.bits = prefix->bits - 96};
    memcpy(ipv4.bytes, prefix->bytes + 12, 4);
    *prefix = ipv4;
}

static bool unbracket(struct str text, struct str *inside) {
    if (text.length < 2 || text.data[0] != '[' || text.data[text.length - 1] != ']') return false;
    *inside = str_slice(text, 1, text.length - 1);
    return true;
}

bool ip_address_parse(struct str text, struct ip_prefix *address) {
    struct ip_prefix result;
    (void)unbracket(text, &text);
    if (!parse_bare(text, &result)) return false;
    unmap(&result);
    *address = result;
    return true;
}

/* Clears what lies beyond the network's bits; true if anything was set there. */
static bool clear_host_bits(struct ip_prefix *prefix) {
    bool was_set = false;
    unsigned width = prefix->is_ipv6 ? 128 : 32;
    for (unsigned bit = prefix->bits; bit < width; bit++) {
        uint8_t mask = (uint8_t)(0x80u >> (bit % 8));
        if (prefix->bytes[bit / 8] & mask) {
            was_set = true;
            prefix->bytes[bit / 8] = (uint8_t)(prefix->bytes[bit / 8] & ~mask);
        }
    }
    return was_set;
}

enum ip_prefix_result ip_prefix_parse(struct str text, struct ip_prefix *prefix) {
    struct str address = text;
    struct str bits_text = STR_EMPTY;
    (void)unbracket(text, &text);
    bool has_bits = str_cut(text, '/', &address, &bits_text);
    if (!has_bits) address = text;
    (void)unbracket(address, &address);
    struct ip_prefix result;
    if (!parse_bare(address, &result)) return IP_PREFIX_MALFORMED;
    uint64_t bits = result.bits;
    if (has_bits && (bits_text.length > 3 || !str_to_u64(bits_text, result.bits, &bits))) return IP_PREFIX_MALFORMED;
    result.bits = (unsigned)bits;
    bool host_bits = clear_host_bits(&result);
    unmap(&result);
    *prefix = result;
    return host_bits ? IP_PREFIX_HOST_BITS : IP_PREFIX_OK;
}

bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_prefix *address) {
    if (prefix->is_ipv6 != address->is_ipv6) return false;
    unsigned whole = prefix->bits / 8;
    unsigned rest = prefix->bits % 8;
    if (memcmp(prefix->bytes, address->bytes, whole) != 0) return false;
    if (rest == 0) return true;
    return ((prefix->bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}
