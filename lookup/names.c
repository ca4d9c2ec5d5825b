/* LOOKUP_NAME and LOOKUP_DNS: what DNS says of clients and domains. */
#include "dns_options.h"
#include "domain.h"
#include "lookup.h"

#define PATIENCE 30000 /* ms for all questions of one request */

/* ---- the resolver */

bool lookup_open_resolver(struct lookup *lookup, struct failure *failure) {
    struct resolver_options options;
    if (!dns_options_read(lookup->config, &options, failure)) return false;
    lookup->resolver = resolver_create(&options, failure);
    return lookup->resolver != NULL;
}

/* ---- names of clients */

bool lookup_name(struct lookup *lookup, struct str address, struct arena *arena, struct ipc_lookup_named *answer,
                 struct failure *failure) {
    struct endpoint endpoint;
    struct ipc_lookup_named named = {.name = STR_EMPTY, .unverified = STR_EMPTY};
    if (endpoint_from_ip(address, 0, &endpoint)) {
        enum dns_result result =
            dns_client_name(lookup->resolver, &endpoint, deadline_in(PATIENCE), arena, &named.name, &named.unverified);
        if (result == DNS_RETRY)
            return failure_set(failure, "the name of %.*s cannot be found out now", STR_ARGS(address));
    }
    *answer = named;
    return true;
}

/* ---- domains */

enum domain_state { DOMAIN_USABLE = 0, DOMAIN_NONE = 1, DOMAIN_NULL_MX = 2, DOMAIN_TRY_AGAIN = 3 };

/* The MX records are a reason to go on (no data) or the answer. */
static bool ask_mx(struct lookup *lookup, struct str domain, deadline until, struct arena *arena,
                   enum domain_state *state) {
    struct dns_answer answer;
    switch (dns_lookup(lookup->resolver, domain, DNS_MX, until, arena, &answer, NULL)) {
    case DNS_FOUND:
        /* RFC 7505: one record that names the root. */
        *state = answer.count == 1 && answer.records[0].name.length == 0 ? DOMAIN_NULL_MX : DOMAIN_USABLE;
        return true;
    case DNS_NO_NAME:
    case DNS_INVALID:
        *state = DOMAIN_NONE;
        return true;
    case DNS_RETRY:
        *state = DOMAIN_TRY_AGAIN;
        return true;
    case DNS_NO_DATA:
        break;
    }
    return false;
}

static enum domain_state ask_addresses(struct lookup *lookup, struct str domain, deadline until, struct arena *arena) {
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    struct dns_answer answer;
    enum domain_state state = DOMAIN_NONE;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        enum dns_result result = dns_lookup(lookup->resolver, domain, types[i], until, arena, &answer, NULL);
        if (result == DNS_FOUND) return DOMAIN_USABLE;
        if (result == DNS_RETRY) state = DOMAIN_TRY_AGAIN;
    }
    return state;
}

bool lookup_dns(struct lookup *lookup, struct str domain, struct arena *arena, struct ipc_lookup_dns_found *answer,
                struct failure *failure) {
    enum domain_state state = DOMAIN_USABLE;
    struct buf ascii = {0};
    deadline until = deadline_in(PATIENCE);
    (void)failure;
    if (domain.length > 0 && domain.data[0] != '[') {
        if (!str_is_ascii(domain) && domain_append_ascii(&ascii, domain)) domain = buf_str(&ascii);
        if (!ask_mx(lookup, domain, until, arena, &state)) state = ask_addresses(lookup, domain, until, arena);
    }
    buf_free(&ascii);
    answer->result = state;
    return true;
}
