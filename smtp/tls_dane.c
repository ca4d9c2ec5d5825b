/* See tls_dane.h. */
#include "tls_dane.h"

#define RECORDS_MAX        64 /* of one host */
#define USAGE_TRUST_ANCHOR 2

static bool keep_records(const struct dns_answer *answer, struct arena *arena, struct tls_dane_records *found) {
    size_t room = answer->count < RECORDS_MAX ? answer->count : RECORDS_MAX;
    found->records = arena_allocate(arena, room + 1, sizeof *found->records);
    if (!found->records) return false;
    for (size_t i = 0; i < answer->count && found->count < room; i++) {
        struct tls_tlsa *record = &found->records[found->count];
        if (!tls_dane_read(answer->records[i].data, record)) {
            found->unusable++;
            continue;
        }
        found->has_trust_anchor |= record->usage == USAGE_TRUST_ANCHOR;
        found->count++;
    }
    return true;
}

static enum tls_dane_result find_at(struct resolver *resolver, struct str base, uint16_t port, deadline until,
                                    struct arena *arena, struct tls_dane_records *found, struct failure *failure) {
    struct buf name = buf_make(0);
    struct dns_answer answer = {0};
    buf_printf(&name, "_%u._tcp.%.*s", port, STR_ARGS(base));
    enum dns_result result = dns_lookup(resolver, buf_str(&name), DNS_TLSA, until, arena, &answer, failure);
    buf_free(&name);
    switch (result) {
    case DNS_FOUND:
        break;
    case DNS_NO_NAME:
    case DNS_NO_DATA:
        return TLS_DANE_ABSENT;
    case DNS_INVALID: /* too long for a name: nothing can be there */
        return TLS_DANE_ABSENT;
    case DNS_RETRY:
        return TLS_DANE_RETRY;
    }
    if (!answer.authentic || answer.count == 0) return TLS_DANE_ABSENT;
    struct tls_dane_records read = {.base = base};
    if (!keep_records(&answer, arena, &read)) {
        failure_set(failure, "no memory for TLSA records");
        return TLS_DANE_RETRY;
    }
    *found = read;
    return read.count ? TLS_DANE_FOUND : TLS_DANE_UNUSABLE;
}

enum tls_dane_result tls_dane_find(struct resolver *resolver, const struct host *host, bool force, deadline until,
                                   struct arena *arena, struct tls_dane_records *found, struct failure *failure) {
    uint16_t port = endpoint_port(&host->endpoint);
    bool is_alias = host->canonical.length && !str_equal_nocase(host->canonical, host->name);
    enum tls_dane_result result = TLS_DANE_UNSIGNED;
    if (host->canonical.length == 0) return result; /* not from DNS */
    if (is_alias && host->authentic) result = find_at(resolver, host->canonical, port, until, arena, found, failure);
    if (result != TLS_DANE_UNSIGNED && result != TLS_DANE_ABSENT) return result;
    if (host->authentic || (is_alias && host->alias_authentic) || force)
        return find_at(resolver, host->name, port, until, arena, found, failure);
    return result;
}
