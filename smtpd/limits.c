/* limits: how many sessions a client has, and how fast it begins things.
 *
 * A client is its address cut to smtpd_client_ipv4_prefix_length or
 * smtpd_client_ipv6_prefix_length bits: who has a /64 has one client's share.
 * Counts are kept in this process, over windows of anvil_rate_time_unit that
 * begin with a client's first event. */
#include "ip_prefix.h"
#include "log.h"
#include "smtpd.h"
#include <arpa/inet.h>

#define CLIENTS_MAX 200000 /* more are not counted until others have gone */

struct counted {
    uint32_t sessions;
    uint32_t events[LIMITED_COUNT];
    deadline window_ends;
};

struct limits {
    const struct config *config;
    struct map *clients;
    deadline next_sweep;
};

struct limits *limits_create(const struct config *config) {
    struct limits *limits = MEMORY_NEW(struct limits);
    limits->config = config;
    limits->clients = map_create();
    return limits;
}

bool limits_key(const struct config *config, const struct endpoint *address, struct buf *key) {
    struct buf text = buf_make(100);
    struct ip_prefix prefix;
    bool good = endpoint_format_ip(address, &text) && ip_address_parse(buf_str(&text), &prefix);
    buf_free(&text);
    if (!good) return false;
    size_t bits =
        (size_t)(prefix.is_ipv6 ? config->smtpd_client_ipv6_prefix_length : config->smtpd_client_ipv4_prefix_length);
    for (size_t i = 0; i < (prefix.is_ipv6 ? 16 : 4); i++) {
        size_t kept = bits > i * 8 ? bits - i * 8 : 0;
        unsigned mask = kept >= 8 ? 0xff : 0xffU << (8 - kept) & 0xff;
        buf_append_char(key, (char)(prefix.bytes[i] & mask));
    }
    return !buf_overflowed(key);
}

static struct counted *client_of(struct limits *limits, struct str key) {
    struct counted *counted = map_get(limits->clients, key);
    if (!counted) {
        if (map_count(limits->clients) >= CLIENTS_MAX) return NULL;
        counted = MEMORY_NEW(struct counted);
        map_put(limits->clients, key, counted);
    }
    if (deadline_left(counted->window_ends) == 0) {
        memset(counted->events, 0, sizeof counted->events);
        counted->window_ends = deadline_in(limits->config->anvil_rate_time_unit * 1000);
    }
    return counted;
}

static int64_t limit_of(const struct limits *limits, enum limited_event event) {
    switch (event) {
    case LIMITED_CONNECTION:
        return limits->config->smtpd_client_connection_rate_limit;
    case LIMITED_MESSAGE:
        return limits->config->smtpd_client_message_rate_limit;
    case LIMITED_RECIPIENT:
        return limits->config->smtpd_client_recipient_rate_limit;
    case LIMITED_TLS:
        return limits->config->smtpd_client_new_tls_session_rate_limit;
    case LIMITED_AUTH:
        return limits->config->smtpd_client_auth_rate_limit;
    case LIMITED_COUNT:
        break;
    }
    return 0;
}

bool limits_count(struct limits *limits, struct str key, enum limited_event event, uint64_t *count) {
    int64_t limit = limit_of(limits, event);
    struct counted *counted = key.length && limit > 0 ? client_of(limits, key) : NULL;
    if (!counted) return true;
    *count = ++counted->events[event];
    return *count <= (uint64_t)limit;
}

bool limits_reached(struct limits *limits, struct str key, enum limited_event event) {
    int64_t limit = limit_of(limits, event);
    const struct counted *counted = key.length && limit > 0 ? client_of(limits, key) : NULL;
    return counted && counted->events[event] >= (uint64_t)limit;
}

bool limits_enter(struct limits *limits, struct str key, uint64_t *count) {
    int64_t limit = limits->config->smtpd_client_connection_count_limit;
    struct counted *counted = key.length ? client_of(limits, key) : NULL;
    if (!counted) return true;
    *count = ++counted->sessions;
    return limit <= 0 || *count <= (uint64_t)limit;
}

void limits_leave(struct limits *limits, struct str key) {
    struct counted *counted = key.length ? map_get(limits->clients, key) : NULL;
    if (counted && counted->sessions > 0) counted->sessions--;
}

void limits_expire(struct limits *limits) {
    if (deadline_left(limits->next_sweep) > 0) return;
    limits->next_sweep = deadline_in(10000);
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(limits->clients, &cursor, &key, &value)) {
        struct counted *counted = value;
        if (counted->sessions > 0 || deadline_left(counted->window_ends) > 0) continue;
        map_remove(limits->clients, key);
        MEMORY_FREE(counted);
    }
}

void limits_log(const struct session *session, const char *what, uint64_t count) {
    log_warning("%s limit exceeded: %llu from %.*s for service %.*s", what, (unsigned long long)count,
                STR_ARGS(session->client.label), STR_ARGS(service_name(session->smtpd->service)));
}
