/* Questions from tasks: the cache, one task for each question on the wire,
 * aliases over several answers, the client's name. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "dns.h"
#include "dns_cache.h"
#include "dns_packet.h"
#include "dns_transport.h"
#include "resolv_conf.h"
#include "task.h"

#define RESOLV_CONF_FILE  "/etc/resolv.conf"
#define RESOLV_CONF_LIMIT ((size_t)64 << 10)
#define DEFAULT_TIMEOUT   3000 /* ms */
#define DEFAULT_ATTEMPTS  3
#define DEFAULT_ENTRIES   4096
#define POINTERS_TRIED    4 /* PTR names of one address that are looked up */

struct resolver {
    struct dns_transport transport;
    struct dns_cache *cache;
    bool trusts_any; /* at least one server's AD bit counts */
    unsigned references; /* the owner, each look-up and each question on the wire */
};

/* ---- creation */

static bool read_resolv_conf(struct resolv_conf *conf, struct failure *failure) {
    struct buf text = buf_make(RESOLV_CONF_LIMIT);
    ssize_t got = 0;
    int file = open(RESOLV_CONF_FILE, O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno != ENOENT) return failure_set_errno(failure, errno, "open %s", RESOLV_CONF_FILE);
    while (file >= 0) {
        char *room = buf_reserve(&text, 4096);
        if (!room) break;
        got = read(file, room, 4096);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        buf_commit(&text, (size_t)got);
    }
    if (got < 0) {
        failure_set_errno(failure, errno, "read %s", RESOLV_CONF_FILE);
    } else {
        resolv_conf_parse(buf_str(&text), conf);
    }
    if (file >= 0) close(file);
    buf_free(&text);
    return got >= 0;
}

static void add_server(struct resolver *resolver, const struct endpoint *server, bool trust) {
    struct dns_transport *transport = &resolver->transport;
    if (transport->server_count == DNS_SERVERS) return;
    bool trusted = trust || endpoint_is_loopback(server);
    transport->servers[transport->server_count++] = (struct dns_server){.endpoint = *server, .trusted = trusted};
    resolver->trusts_any |= trusted;
}

struct resolver *resolver_create(const struct resolver_options *options, struct failure *failure) {
    struct resolv_conf conf = {.server_count = 0};
    const struct endpoint *servers = options->servers;
    size_t count = options->server_count;
    if (count > ARRAY_LENGTH(options->servers)) {
        failure_set(failure, "too many name servers");
        return NULL;
    }
    if (count == 0) {
        if (!read_resolv_conf(&conf, failure)) return NULL;
        servers = conf.servers;
        count = conf.server_count;
    }
    struct resolver *resolver = MEMORY_NEW(struct resolver);
    for (size_t i = 0; i < count; i++) add_server(resolver, &servers[i], options->trust_any_server);
    int64_t timeout = options->timeout ? options->timeout : conf.timeout;
    unsigned attempts = options->attempts ? options->attempts : conf.attempts;
    resolver->transport.timeout = timeout ? timeout : DEFAULT_TIMEOUT;
    resolver->transport.attempts = attempts ? attempts : DEFAULT_ATTEMPTS;
    resolver->cache = dns_cache_create(options->cache_entries ? options->cache_entries : DEFAULT_ENTRIES);
    resolver->references = 1;
    return resolver;
}

static void resolver_release(struct resolver *resolver) {
    if (--resolver->references > 0) return;
    dns_cache_destroy(&resolver->cache);
    free(resolver);
}

void resolver_destroy(struct resolver **resolver) {
    if (!*resolver) return;
    dns_cache_cancel((*resolver)->cache);
    resolver_release(*resolver);
    *resolver = NULL;
}

/* ---- one question, asked by a task of its own for all that want it */

struct flight {
    struct resolver *resolver;
    struct dns_entry *entry;
};

static void fly(void *argument) {
    struct flight *flight = argument;
    struct resolver *resolver = flight->resolver;
    struct dns_entry *entry = flight->entry;
    free(flight);
    struct failure failure;
    bool answered = dns_transport_ask(&resolver->transport, &entry->question, entry->arena, &entry->response, &failure);
    if (entry->task) task_release(&entry->task);
    dns_cache_settle(resolver->cache, entry, answered ? NULL : &failure);
    dns_entry_release(&entry);
    resolver_release(resolver);
}

static void take_off(struct resolver *resolver, struct dns_entry *entry) {
    struct flight *flight = MEMORY_NEW(struct flight);
    *flight = (struct flight){resolver, dns_entry_hold(entry)};
    resolver->references++;
    if (task_start_held("dns", fly, flight, &entry->task)) return;
    struct failure failure;
    failure_set(&failure, "no stack for a DNS question");
    dns_cache_settle(resolver->cache, entry, &failure);
    dns_entry_release(&flight->entry);
    free(flight);
    resolver->references--;
}

/* The settled, answered entry for a question, to be released; NULL with failure set. */
static struct dns_entry *ask(struct resolver *resolver, const struct dns_question *question, deadline until,
                             struct failure *failure) {
    bool created;
    struct dns_entry *entry = dns_cache_find(resolver->cache, question, &created);
    if (created) take_off(resolver, entry);
    enum wait_result waited = WAIT_READY;
    while (!entry->settled && waited == WAIT_READY) waited = task_queue_wait(&entry->waiting, until);
    if (entry->settled && entry->answered) return entry;
    if (entry->settled) {
        if (failure) *failure = *entry->failure;
    } else {
        failure_set(failure, "DNS question for %s type %s %s", question->name.text, dns_type_name(question->type),
                    waited == WAIT_CANCELLED ? "cancelled" : "not answered in time");
    }
    dns_entry_release(&entry);
    return NULL;
}

/* ---- the answer, over as many questions as the aliases need */

struct chain {
    struct resolver *resolver;
    struct dns_question question; /* the one to ask now */
    deadline until;
    unsigned aliases;
    bool authentic;
    uint32_t ttl;
    struct arena *arena;
    struct failure *failure;
};

static void chain_add(struct chain *chain, const struct dns_entry *entry) {
    uint32_t age = dns_entry_age(entry), ttl = entry->response.ttl;
    ttl = ttl > age ? ttl - age : 0;
    if (ttl < chain->ttl) chain->ttl = ttl;
    chain->aliases += entry->response.aliases;
    chain->authentic &= entry->response.authentic;
}

static bool copy_records(const struct dns_entry *entry, struct arena *arena, struct dns_answer *answer) {
    const struct dns_response *response = &entry->response;
    uint32_t age = dns_entry_age(entry);
    struct dns_record *records = arena_allocate(arena, response->count + 1, sizeof *records);
    if (!records) return false;
    for (size_t i = 0; i < response->count; i++) {
        records[i] = response->records[i];
        records[i].ttl = records[i].ttl > age ? records[i].ttl - age : 0;
        if (!arena_copy(arena, records[i].name, &records[i].name)) return false;
        if (!arena_copy(arena, records[i].data, &records[i].data)) return false;
    }
    answer->records = records;
    answer->count = response->count;
    return arena_copy(arena, response->name, &answer->name);
}

static enum dns_result chain_result(const struct chain *chain, const struct dns_entry *entry,
                                    struct dns_answer *answer) {
    struct dns_answer made = {.ttl = chain->ttl, .authentic = chain->authentic};
    if (!copy_records(entry, chain->arena, &made)) {
        failure_set(chain->failure, "DNS answer for %s is too large", chain->question.name.text);
        return DNS_RETRY;
    }
    *answer = made;
    switch (entry->response.outcome) {
    case DNS_OUTCOME_FOUND: return DNS_FOUND;
    case DNS_OUTCOME_NO_NAME: return DNS_NO_NAME;
    case DNS_OUTCOME_NO_DATA: return DNS_NO_DATA;
    case DNS_OUTCOME_ALIAS: break;
    }
    return DNS_RETRY;
}

static enum dns_result chain_follow(struct chain *chain, struct dns_answer *answer) {
    for (;;) {
        struct dns_entry *entry = ask(chain->resolver, &chain->question, chain->until, chain->failure);
        if (!entry) return DNS_RETRY;
        chain_add(chain, entry);
        bool too_long = chain->aliases > DNS_ALIAS_LIMIT;
        bool more = !too_long && entry->response.outcome == DNS_OUTCOME_ALIAS &&
                    dns_name_set(&chain->question.name, entry->response.name);
        enum dns_result result = DNS_RETRY;
        if (too_long) {
            failure_set(chain->failure, "too many aliases (a loop?) at %s", chain->question.name.text);
        } else if (!more) {
            result = chain_result(chain, entry, answer);
        }
        dns_entry_release(&entry);
        if (!more) return result;
    }
}

/* Whether the first alias is signed although what it leads to is not: DANE then
 * goes by the name before it (RFC 7672 section 2.2.2). */
static enum dns_result check_first_alias(const struct chain *chain, const struct dns_name *name,
                                         struct dns_answer *answer) {
    answer->cname_authentic = answer->authentic;
    if (chain->aliases == 0 || answer->authentic || !chain->resolver->trusts_any) return DNS_FOUND;
    if (chain->question.type != DNS_A && chain->question.type != DNS_AAAA) return DNS_FOUND;
    struct dns_question question = {*name, DNS_CNAME};
    struct dns_entry *entry = ask(chain->resolver, &question, chain->until, chain->failure);
    if (!entry) return DNS_RETRY; /* not "unsigned": who can stop the question must not switch DANE off */
    answer->cname_authentic = entry->response.outcome == DNS_OUTCOME_FOUND && entry->response.authentic;
    dns_entry_release(&entry);
    return DNS_FOUND;
}

enum dns_result dns_lookup(struct resolver *resolver, struct str name, enum dns_type type, deadline until,
                           struct arena *arena, struct dns_answer *answer, struct failure *failure) {
    struct dns_question question = {.type = type};
    if (!dns_name_set(&question.name, name)) {
        failure_set(failure, "\"%.*s\" is not a DNS name", STR_ARGS(str_slice(name, 0, DNS_NAME_LIMIT)));
        return DNS_INVALID;
    }
    struct chain chain = {.resolver = resolver, .question = question, .until = until, .authentic = true,
                          .ttl = INT32_MAX,     .arena = arena,       .failure = failure};
    struct dns_answer made = {.count = 0};
    resolver->references++;
    enum dns_result result = chain_follow(&chain, &made);
    if (result == DNS_FOUND) {
        result = check_first_alias(&chain, &question.name, &made);
    } else {
        made.cname_authentic = made.authentic;
    }
    if (result != DNS_RETRY) *answer = made;
    resolver_release(resolver);
    return result;
}

/* ---- names of addresses */

/* An IPv4-mapped address as IPv4; others as they are. */
static struct endpoint unmapped(const struct endpoint *address) {
    struct endpoint plain = *address;
    if (address->address.any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->address.ipv6.sin6_addr))
        return plain;
    plain = (struct endpoint){.length = sizeof plain.address.ipv4};
    plain.address.ipv4.sin_family = AF_INET;
    memcpy(&plain.address.ipv4.sin_addr, address->address.ipv6.sin6_addr.s6_addr + 12, 4);
    return plain;
}

bool dns_reverse_name(const struct endpoint *address, struct buf *name) {
    static const char digits[] = "0123456789abcdef";
    struct endpoint plain = unmapped(address);
    if (plain.address.any.sa_family == AF_INET) {
        uint8_t bytes[4];
        memcpy(bytes, &plain.address.ipv4.sin_addr, sizeof bytes);
        return buf_printf(name, "%u.%u.%u.%u.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
    }
    if (plain.address.any.sa_family != AF_INET6) return false;
    const uint8_t *bytes = plain.address.ipv6.sin6_addr.s6_addr;
    for (size_t i = 16; i-- > 0;) {
        const char label[] = {digits[bytes[i] & 15], '.', digits[bytes[i] >> 4], '.'};
        buf_append_bytes(name, label, sizeof label);
    }
    return buf_append(name, STR("ip6.arpa"));
}

/* Whether a name has the address. NO_DATA: it has others, or none. */
static enum dns_result verify_name(struct resolver *resolver, struct str name, const struct endpoint *address,
                                   deadline until, struct arena *arena) {
    struct dns_answer answer;
    enum dns_type type = address->address.any.sa_family == AF_INET6 ? DNS_AAAA : DNS_A;
    enum dns_result result = dns_lookup(resolver, name, type, until, arena, &answer, NULL);
    if (result != DNS_FOUND) return result == DNS_RETRY ? DNS_RETRY : DNS_NO_DATA;
    for (size_t i = 0; i < answer.count; i++) {
        if (endpoint_same_address(&answer.records[i].address, address)) return DNS_FOUND;
    }
    return DNS_NO_DATA;
}

enum dns_result dns_client_name(struct resolver *resolver, const struct endpoint *address, deadline until,
                                struct arena *arena, struct str *name, struct str *unverified) {
    struct endpoint plain = unmapped(address);
    struct buf reverse = {0};
    struct dns_answer answer;
    enum dns_result result = DNS_NO_NAME;
    *name = *unverified = STR_EMPTY;
    if (dns_reverse_name(&plain, &reverse))
        result = dns_lookup(resolver, buf_str(&reverse), DNS_PTR, until, arena, &answer, NULL);
    buf_free(&reverse);
    if (result != DNS_FOUND) return result;
    *unverified = answer.records[0].name;
    result = DNS_NO_DATA;
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): dns_lookup gives back only its own reference */
    resolver->references++; /* its owner may go between the questions */
    for (size_t i = 0; i < answer.count && i < POINTERS_TRIED; i++) {
        enum dns_result verified = verify_name(resolver, answer.records[i].name, &plain, until, arena);
        if (verified == DNS_FOUND) {
            *name = answer.records[i].name;
            result = DNS_FOUND;
            break;
        }
        if (verified == DNS_RETRY) result = DNS_RETRY;
    }
    resolver_release(resolver);
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    return result;
}
