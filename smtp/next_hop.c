/* See next_hop.h. */
#include "next_hop.h"
#include "domain.h"

static const struct {
    struct str name;
    uint16_t port;
} services[] = {
    {STR_INIT("smtp"), 25},         {STR_INIT("lmtp"), 24},        {STR_INIT("smtps"), 465},
    {STR_INIT("submissions"), 465}, {STR_INIT("submission"), 587},
};

bool next_hop_port(struct str text, uint16_t *port) {
    uint64_t number = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(services); i++) {
        if (!str_equal_nocase(text, services[i].name)) continue;
        *port = services[i].port;
        return true;
    }
    if (!str_to_u64(text, UINT16_MAX, &number) || number == 0) return false;
    *port = (uint16_t)number;
    return true;
}

bool next_hop_list_next(struct str *list, struct str *next_hop) {
    return str_next_word(list, ", \t\r\n", next_hop);
}

/* "[inside]" and what follows it. */
static bool cut_brackets(struct str text, struct str *inside, struct str *rest) {
    size_t end = str_find(text, ']');
    if (text.length == 0 || text.data[0] != '[' || end == STR_NONE) return false;
    *inside = str_slice(text, 1, end);
    *rest = str_from_offset(text, end + 1);
    return true;
}

static bool is_address(struct str text, struct str *address) {
    struct endpoint endpoint;
    if (str_starts_nocase(text, STR("IPv6:"))) text = str_from_offset(text, 5);
    if (!endpoint_from_ip(text, 0, &endpoint)) return false;
    *address = text;
    return true;
}

/* Name and port of "name", "name:port", "[name]" and "[name]:port". */
static bool split(struct str text, struct str *host, bool *bracketed, struct str *port) {
    struct str rest;
    *bracketed = text.length && text.data[0] == '[';
    *port = STR_EMPTY;
    if (*bracketed) {
        if (!cut_brackets(text, host, &rest)) return false;
        if (rest.length == 0) return true;
        *port = str_from_offset(rest, 1);
        return rest.data[0] == ':' && port->length > 0;
    }
    *host = text;
    if (!str_cut(text, ':', host, port)) return true;
    return port->length > 0;
}

bool next_hop_parse(struct str text, bool lmtp, uint16_t default_port, struct next_hop *next_hop,
                    struct failure *failure) {
    struct str whole = text, port;
    struct next_hop found = {.kind = lmtp ? NEXT_HOP_HOST : NEXT_HOP_DOMAIN, .port = default_port};
    bool bracketed = false;
    if (str_starts_nocase(text, STR("unix:"))) {
        found = (struct next_hop){.kind = NEXT_HOP_PATH, .host = str_from_offset(text, 5)};
        if (found.host.length == 0) return failure_set(failure, "no path in next hop \"%.*s\"", STR_ARGS(whole));
        *next_hop = found;
        return true;
    }
    if (str_starts_nocase(text, STR("inet:"))) {
        text = str_from_offset(text, 5);
        found.kind = NEXT_HOP_HOST;
    }
    if (!split(text, &found.host, &bracketed, &port) || (port.length && !next_hop_port(port, &found.port)))
        return failure_set(failure, "bad port or brackets in next hop \"%.*s\"", STR_ARGS(whole));
    if (bracketed) found.kind = NEXT_HOP_HOST;
    if (found.kind == NEXT_HOP_HOST && is_address(found.host, &found.host)) {
        found.kind = NEXT_HOP_ADDRESS;
    } else if (!domain_is_valid(found.host, DOMAIN_UNDERSCORE | DOMAIN_TRAILING_DOT | DOMAIN_UTF8)) {
        return failure_set(failure, "malformed host or domain name in next hop \"%.*s\"", STR_ARGS(whole));
    }
    *next_hop = found;
    return true;
}
