/* See route.h. */
#include "route.h"
#include "domain.h"
#include "hosts_file.h"
#include "smtp.h"

#define LOOKUP_PATIENCE    60000 /* ms for one question */
#define MX_HOSTS_MAX       64    /* of one domain */
#define HOST_ADDRESSES_MAX 16    /* of one host */
#define HOSTS_MAX          ((size_t)100)

struct search {
    struct smtp *smtp;
    const struct next_hop *next_hop;
    struct arena *arena;
    struct host hosts[HOSTS_MAX];
    size_t count;
    struct trouble *trouble;
    bool retry;         /* some question was not answered */
    struct route found; /* all but hosts and count */
    bool self_by_name;  /* an MX host bears our own name ... */
    uint16_t self_preference;
};

static uint64_t next_random(void *state) {
    struct smtp *smtp = state;
    smtp->random_counter++;
    return hash_keyed(str_make((const char *)&smtp->random_counter, sizeof smtp->random_counter));
}

/* ---- words */

static const char *dns_words(enum dns_result result) {
    switch (result) {
    case DNS_FOUND:
        return "";
    case DNS_NO_NAME:
        return "Host not found";
    case DNS_NO_DATA:
        return "Host found but no data record of requested type";
    case DNS_RETRY:
        return "Host not found, try again";
    case DNS_INVALID:
        return "Malformed or unexpected name server reply";
    }
    return "";
}

static void not_found(struct search *search, struct str name, const char *type, enum dns_result result) {
    trouble_set(search->trouble, search->arena, result == DNS_RETRY ? "4.4.3" : "5.4.4",
                "Host or domain name not found. Name service error for name=%.*s type=%s: %s", STR_ARGS(name), type,
                dns_words(result));
}

/* ---- addresses */

static bool add_host(struct search *search, struct str name, const struct endpoint *address, uint16_t preference) {
    struct endpoint endpoint = *address;
    if (search->count == HOSTS_MAX) return false;
    if (endpoint_is_ipv6(&endpoint))
        endpoint.address.ipv6.sin6_port = htons(search->next_hop->port);
    else
        endpoint.address.ipv4.sin_port = htons(search->next_hop->port);
    struct buf text = buf_make(0);
    endpoint_format_ip(&endpoint, &text);
    search->hosts[search->count++] = (struct host){.name = name,
                                                   .address = trouble_keep(search->arena, buf_str(&text)),
                                                   .endpoint = endpoint,
                                                   .preference = preference};
    buf_free(&text);
    return true;
}

/* What DANE has to know of the host just added. */
static void note_trust(struct search *search, const struct dns_answer *answer) {
    struct host *host = &search->hosts[search->count - 1];
    host->canonical = answer->name;
    host->authentic = answer->authentic;
    host->alias_authentic = answer->cname_authentic;
}

/* The trouble of the last question remains where there are no addresses. */
static void add_from_dns(struct search *search, struct str name, uint16_t preference) {
    const struct smtp_settings *settings = &search->smtp->settings;
    static const struct {
        enum dns_type type;
        const char *name;
    } types[] = {{DNS_A, "A"}, {DNS_AAAA, "AAAA"}};
    size_t before = search->count;
    bool retry = false;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct dns_answer answer = {0};
        struct failure failure;
        if (!(types[i].type == DNS_A ? settings->use_ipv4 : settings->use_ipv6)) continue;
        enum dns_result result = dns_lookup(search->smtp->resolver, name, types[i].type, deadline_in(LOOKUP_PATIENCE),
                                            search->arena, &answer, &failure);
        for (size_t at = 0; result == DNS_FOUND && at < answer.count && at < HOST_ADDRESSES_MAX; at++)
            if (add_host(search, name, &answer.records[at].address, preference)) note_trust(search, &answer);
        if (result != DNS_FOUND && search->count == before && !retry) not_found(search, name, types[i].name, result);
        retry = retry || result == DNS_RETRY;
    }
    if (retry && search->count == before) search->retry = true;
}

static void add_from_hosts(struct search *search, struct str name, uint16_t preference) {
    const struct smtp_settings *settings = &search->smtp->settings;
    struct endpoint address;
    size_t offset = 0;
    while (hosts_file_next(buf_str(&search->smtp->hosts_text), &offset, name, &address))
        if (endpoint_is_ipv6(&address) ? settings->use_ipv6 : settings->use_ipv4)
            add_host(search, name, &address, preference);
}

static void add_addresses(struct search *search, struct str name, uint16_t preference) {
    const struct smtp_settings *settings = &search->smtp->settings;
    size_t before = search->count;
    if (settings->hosts_first) add_from_hosts(search, name, preference);
    if (search->count == before && settings->look_in_dns) add_from_dns(search, name, preference);
    if (search->count == before && settings->look_in_hosts && !settings->hosts_first)
        add_from_hosts(search, name, preference);
    if (search->count == before && !settings->look_in_dns)
        trouble_set(search->trouble, search->arena, "5.4.4", "unable to look up host %.*s: not in the hosts file",
                    STR_ARGS(name));
}

static bool find_host(struct search *search, struct str name) {
    add_addresses(search, name, 0);
    return search->count > 0;
}

/* ---- MX */

static bool is_self(const struct host *host, void *state) {
    const struct search *search = state;
    if (search->self_by_name && host->preference >= search->self_preference) return true;
    return own_addresses_have(&search->smtp->own, &host->endpoint);
}

static bool detects_loop(const struct search *search) {
    return !search->smtp->settings.lmtp && search->next_hop->port == 25;
}

static void say_loop(struct search *search) {
    trouble_set(search->trouble, search->arena, "5.4.6", "mail for %.*s loops back to myself",
                STR_ARGS(search->next_hop->host));
    search->trouble->last = true; /* a fallback relay would only send it round again */
}

static void sort_records(struct dns_answer *answer) {
    for (size_t i = 1; i < answer->count; i++) {
        struct dns_record record = answer->records[i];
        size_t at = i;
        for (; at > 0 && answer->records[at - 1].preference > record.preference; at--)
            answer->records[at] = answer->records[at - 1];
        answer->records[at] = record;
    }
}

static void add_exchanges(struct search *search, struct dns_answer *answer) {
    sort_records(answer);
    for (size_t i = 0; i < answer->count && i < MX_HOSTS_MAX; i++) {
        const struct dns_record *record = &answer->records[i];
        if (record->name.length == 0) continue;
        if (detects_loop(search) && !search->self_by_name &&
            str_equal_nocase(record->name, search->smtp->config->myhostname)) {
            search->self_by_name = true;
            search->self_preference = record->preference;
        }
        add_addresses(search, record->name, record->preference);
    }
}

static bool no_exchange_has_address(struct search *search) {
    struct trouble *trouble = search->trouble;
    if (search->retry && trouble->permanent)
        trouble_set(trouble, search->arena, "4.4.3", "%.*s", STR_ARGS(trouble->text));
    else if (trouble->permanent && search->smtp->config->smtp_defer_if_no_mx_address_found)
        trouble_set(trouble, search->arena, "4.4.4", "%.*s", STR_ARGS(trouble->text));
    return false;
}

/* Sorted by preference; drops what is not better than ourselves. */
static bool leave_out_self(struct search *search, uint16_t best_preference) {
    size_t before = search->count;
    uint16_t best_found = search->hosts[0].preference;
    if (!detects_loop(search) || !hosts_cut_at_self(search->hosts, &search->count, is_self, search)) return true;
    if (search->count > 0) return true;
    search->count = 0;
    if (before > 0 && best_preference != best_found)
        trouble_set(search->trouble, search->arena, "4.4.4", "unable to find primary relay for %.*s",
                    STR_ARGS(search->next_hop->host));
    else
        say_loop(search);
    return false;
}

static void order_hosts(struct search *search, size_t limit) {
    const struct config *config = search->smtp->config;
    struct hosts_order order = {.randomise = config->smtp_randomize_addresses,
                                .family = search->smtp->settings.preference,
                                .balance = config->smtp_balance_inet_protocols,
                                .limit = limit,
                                .random = next_random,
                                .state = search->smtp};
    hosts_sort(search->hosts, &search->count, &order);
}

static bool find_exchanges(struct search *search, struct dns_answer *answer) {
    if (answer->count == 1 && answer->records[0].name.length == 0) {
        trouble_set(search->trouble, search->arena, "5.1.10", "Domain %.*s does not accept mail (nullMX)",
                    STR_ARGS(search->next_hop->host));
        search->trouble->diagnostic = STR("556 5.1.10 Recipient address has null MX");
        return false;
    }
    add_exchanges(search, answer);
    if (search->self_by_name && search->count == 0) {
        say_loop(search);
        return false;
    }
    if (search->count == 0) return no_exchange_has_address(search);
    order_hosts(search, 0);
    return leave_out_self(search, answer->records[0].preference);
}

static bool find_domain(struct search *search, struct str name) {
    struct dns_answer answer = {0};
    struct failure failure;
    enum dns_result result = dns_lookup(search->smtp->resolver, name, DNS_MX, deadline_in(LOOKUP_PATIENCE),
                                        search->arena, &answer, &failure);
    switch (result) {
    case DNS_FOUND:
        search->found.by_mx = answer.count > 0;
        search->found.mx_authentic = answer.authentic;
        search->found.mx_owner = answer.name;
        if (answer.count > 0) return find_exchanges(search, &answer);
        break;
    case DNS_NO_DATA:
        break; /* the domain is its own mail host */
    case DNS_NO_NAME:
    case DNS_INVALID:
        not_found(search, name, "MX", result);
        if (result == DNS_INVALID) return false;
        break;
    case DNS_RETRY:
        not_found(search, name, "MX", result);
        if (!search->smtp->config->ignore_mx_lookup_error) return false;
        search->found.mx_unknown = true;
        break;
    }
    return find_host(search, name);
}

/* ---- next hops that need no question */

static bool find_path(struct search *search) {
    struct host *host = &search->hosts[0];
    *host = (struct host){.name = search->smtp->config->myhostname, .address = search->next_hop->host};
    if (!endpoint_from_path(search->next_hop->host, &host->endpoint)) {
        trouble_set(search->trouble, search->arena, "4.3.5", "bad socket path %.*s", STR_ARGS(search->next_hop->host));
        return false;
    }
    search->count = 1;
    return true;
}

static bool find_address(struct search *search) {
    struct endpoint endpoint;
    if (!endpoint_from_ip(search->next_hop->host, search->next_hop->port, &endpoint)) return false;
    return add_host(search, trouble_keep(search->arena, search->next_hop->host), &endpoint, 0);
}

static bool find_by_name(struct search *search) {
    struct buf name = buf_make(0);
    bool found = false;
    if (!domain_append_ascii(&name, search->next_hop->host)) buf_append(&name, search->next_hop->host);
    struct str ascii = trouble_keep(search->arena, buf_str(&name));
    buf_free(&name);
    if (search->next_hop->kind == NEXT_HOP_DOMAIN && search->smtp->settings.use_mx)
        found = find_domain(search, ascii);
    else
        found = find_host(search, ascii);
    return found;
}

bool route_find(struct smtp *smtp, const struct next_hop *next_hop, struct arena *arena, struct route *route,
                struct trouble *trouble) {
    struct search *search = ARENA_NEW(arena, struct search); /* not on a task's small stack */
    if (!search) return false;
    search->smtp = smtp;
    search->next_hop = next_hop;
    search->arena = arena;
    search->trouble = trouble;
    search->found.mx_authentic = true;
    bool found = false;
    switch (next_hop->kind) {
    case NEXT_HOP_PATH:
        found = find_path(search);
        break;
    case NEXT_HOP_ADDRESS:
        found = find_address(search);
        break;
    case NEXT_HOP_HOST:
    case NEXT_HOP_DOMAIN:
        found = find_by_name(search);
        break;
    }
    if (!found) return false;
    if (detects_loop(search) && next_hop->kind != NEXT_HOP_PATH && !leave_out_self(search, search->hosts[0].preference))
        return false;
    order_hosts(search, (size_t)smtp->settings.mx_address_limit);
    *route = search->found;
    route->hosts = search->hosts;
    route->count = search->count;
    route->detect_loop = detects_loop(search);
    return true;
}
