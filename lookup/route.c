/* Where a recipient goes, as trivial-rewrite(8) and transport(5) have it: the
 * transport of its class, relay hosts, then what transport_maps says over it. */
#include "subject.h"

struct route {
    struct str transport, nexthop; /* nexthop empty: the recipient's domain */
};

/* "transport:nexthop" or "transport"; either part may be empty. */
static struct route parse_route(struct str text) {
    struct route route = {.transport = str_trim(text), .nexthop = STR_EMPTY};
    struct str transport, nexthop;
    if (str_cut(text, ':', &transport, &nexthop))
        route = (struct route){.transport = str_trim(transport), .nexthop = str_trim(nexthop)};
    return route;
}

/* ---- by sender */

/* The whole sender, without extension, @domain. "DUNNO" ends the search without a result. */
static enum table_result find_by_sender(struct lookup *lookup, struct table_maps *maps, struct str sender,
                                        struct str null_key, struct buf *value, struct failure *failure) {
    struct subject subject;
    enum table_result result = TABLE_ABSENT;
    bool retry;
    if (!maps_are_set(maps)) return TABLE_ABSENT;
    if (sender.length == 0) {
        result = maps_lookup(lookup->tables, maps, null_key, false, value, NULL, failure);
    } else if (subject_make(lookup, sender, &subject, &retry, failure)) {
        result = subject_find(lookup, maps, &subject, KEY_ADDRESSES | KEY_DOMAIN, value, NULL, failure);
    } else if (retry) {
        return TABLE_RETRY;
    }
    if (result == TABLE_FOUND && str_equal_nocase(str_trim(buf_str(value)), STR("DUNNO"))) return TABLE_ABSENT;
    return result;
}

static bool default_transport(struct lookup *lookup, struct str sender, struct buf *text, struct failure *failure) {
    const struct config *config = lookup->config;
    enum table_result result = find_by_sender(lookup, lookup->sender_dependent_default_transport_maps, sender,
                                              config->empty_address_default_transport_maps_lookup_key, text, failure);
    if (result != TABLE_ABSENT) return result == TABLE_FOUND;
    buf_clear(text);
    buf_append(text, config->default_transport);
    return true;
}

static bool relay_host(struct lookup *lookup, struct str sender, struct buf *text, struct failure *failure) {
    const struct config *config = lookup->config;
    struct table_maps *maps = lookup->sender_dependent_relayhost_maps;
    enum table_result result =
        find_by_sender(lookup, maps, sender, config->empty_address_relayhost_maps_lookup_key, text, failure);
    if (result == TABLE_RETRY) return false;
    bool dunno = result == TABLE_ABSENT && text->length > 0; /* "DUNNO": straight to the domain */
    if (result == TABLE_FOUND) return true;
    buf_clear(text);
    if (!dunno) buf_append(text, config->relayhost);
    return true;
}

/* ---- by recipient */

/* The address, the address without extension, the domain, its parents, "*". */
static enum table_result find_transport(struct lookup *lookup, const struct subject *subject, struct buf *value,
                                        struct failure *failure) {
    struct table_maps *maps = lookup->transport_maps;
    if (!maps_are_set(maps)) return TABLE_ABSENT;
    enum table_result result = subject_find(lookup, maps, subject, KEY_ADDRESSES, value, NULL, failure);
    struct str name = subject->domain;
    bool is_literal = name.data[0] == '[';
    while (result == TABLE_ABSENT && name.length > 0) {
        result = maps_lookup(lookup->tables, maps, name, true, value, NULL, failure);
        size_t dot = str_find(str_from_offset(name, 1), '.');
        if (dot == STR_NONE || is_literal) break;
        name = str_from_offset(name, dot + 1); /* with its dot: .parent stands for what is beneath it */
    }
    if (result == TABLE_ABSENT) result = maps_lookup(lookup->tables, maps, STR("*"), true, value, NULL, failure);
    return result;
}

/* transport(5): an empty transport leaves the transport as it is, an empty next hop
 * behind a transport is the recipient's domain, ":" changes nothing. */
static bool apply_transport_maps(struct lookup *lookup, const struct subject *subject, struct buf *value,
                                 struct route *route, struct failure *failure) {
    enum table_result result = find_transport(lookup, subject, value, failure);
    if (result != TABLE_FOUND) return result == TABLE_ABSENT;
    struct route found = parse_route(buf_str(value));
    if (found.transport.length > 0)
        *route = found;
    else if (found.nexthop.length > 0)
        route->nexthop = found.nexthop;
    return true;
}

/* A moved user is told, whatever the class. */
static bool apply_relocated_maps(struct lookup *lookup, const struct subject *subject, struct buf *value,
                                 struct route *route, struct failure *failure) {
    struct buf address = {0};
    enum table_result result = subject_find(lookup, lookup->relocated_maps, subject, KEY_ALL, &address, NULL, failure);
    if (result == TABLE_FOUND) {
        buf_clear(value);
        buf_append(value, STR("5.1.6 User has moved to "));
        buf_append(value, str_trim(buf_str(&address)));
        *route = (struct route){.transport = lookup->config->error_transport, .nexthop = buf_str(value)};
    }
    buf_free(&address);
    return result != TABLE_RETRY;
}

/* ---- by class */

/* Transports with a next hop of their own keep it; others go to the relay host or the domain. */
static bool off_host(struct lookup *lookup, struct str sender, struct str transport, struct buf *relay,
                     struct route *route, struct failure *failure) {
    *route = parse_route(transport);
    if (route->nexthop.length > 0) return true;
    if (!relay_host(lookup, sender, relay, failure)) return false;
    route->nexthop = str_trim(buf_str(relay));
    return true;
}

static bool route_by_class(struct lookup *lookup, enum address_class class, struct str sender, struct buf texts[2],
                           struct route *route, struct failure *failure) {
    const struct config *config = lookup->config;
    switch (class) {
    case CLASS_LOCAL:
        *route = parse_route(config->local_transport);
        return true;
    case CLASS_VIRTUAL_ALIAS:
        *route = (struct route){.transport = config->error_transport, .nexthop = STR("5.1.1 User unknown")};
        if (config->show_user_unknown_table_name) route->nexthop = STR("5.1.1 User unknown in virtual alias table");
        return true;
    case CLASS_VIRTUAL_MAILBOX:
        *route = parse_route(config->virtual_transport);
        return true;
    case CLASS_RELAY:
        return off_host(lookup, sender, config->relay_transport, &texts[1], route, failure);
    case CLASS_DEFAULT:
        break;
    }
    return default_transport(lookup, sender, &texts[0], failure) &&
           off_host(lookup, sender, buf_str(&texts[0]), &texts[1], route, failure);
}

static bool find_route(struct lookup *lookup, const struct subject *subject, struct str sender, struct buf texts[4],
                       enum address_class class, struct route *route, struct failure *failure) {
    /* The reporter's own reports: nobody is told of their failure again. */
    if (class == CLASS_LOCAL && str_equal_nocase(subject->local, lookup->config->double_bounce_sender)) {
        *route = (struct route){.transport = STR("discard"), .nexthop = STR("2.0.0 Undeliverable notice discarded")};
        return true;
    }
    return route_by_class(lookup, class, sender, texts, route, failure) &&
           apply_transport_maps(lookup, subject, &texts[2], route, failure) &&
           apply_relocated_maps(lookup, subject, &texts[3], route, failure);
}

bool lookup_route(struct lookup *lookup, const struct subject *subject, struct str sender, struct arena *arena,
                  struct ipc_lookup_resolved *answer, struct failure *failure) {
    struct route route = {.transport = STR_EMPTY, .nexthop = STR_EMPTY};
    struct buf texts[4] = {buf_make(LOOKUP_VALUE_MAX), buf_make(LOOKUP_VALUE_MAX), buf_make(LOOKUP_VALUE_MAX),
                           buf_make(LOOKUP_VALUE_MAX)};
    bool good = find_route(lookup, subject, sender, texts, (enum address_class)answer->address_class, &route, failure);
    if (good && route.nexthop.length == 0) route.nexthop = subject->domain;
    if (good && (route.transport.length == 0 || route.transport.length > 32 || route.nexthop.length > 512))
        good = failure_set(failure, "the route \"%.*s:%.*s\" has no transport or is too long",
                           STR_ARGS(route.transport), STR_ARGS(route.nexthop));
    good = good &&
           (arena_copy(arena, route.transport, &answer->transport) || failure_set(failure, "the answer is too long"));
    good =
        good && (arena_copy(arena, route.nexthop, &answer->nexthop) || failure_set(failure, "the answer is too long"));
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        buf_free(&texts[i]);
    return good;
}
