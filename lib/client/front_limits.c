/* See front_limits.h. */
#include "front_limits.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "ip_prefix.h"
#include "memory.h"

struct front_limits {
    uint64_t limit;
    struct ip_prefix *exceptions;
    size_t exception_count;
    struct map *counts; /* struct counted by key: of those alone who have a connection */
};

struct counted {
    uint64_t connections;
};

static bool add_exception(struct front_limits *limits, struct str word, struct failure *failure) {
    if (ip_prefix_parse(word, &limits->exceptions[limits->exception_count]) == IP_PREFIX_MALFORMED)
        return failure_set(failure, "login_connection_exceptions: %.*s is no address", STR_ARGS(word));
    limits->exception_count++;
    return true;
}

bool front_limits_create(int64_t limit, struct str exceptions, struct front_limits **limits, struct failure *failure) {
    struct front_limits *made = MEMORY_NEW(struct front_limits);
    struct str word;
    bool good = true;
    made->limit = (uint64_t)limit;
    made->counts = map_create();
    made->exceptions = memory_allocate(exceptions.length / 2 + 1,
                                       sizeof *made->exceptions); /* a word and what parts it from the next */
    while (good && str_next_word(&exceptions, ", \t\n", &word))
        good = add_exception(made, word, failure);
    if (good)
        *limits = made;
    else
        front_limits_free(&made);
    return good;
}

void front_limits_free(struct front_limits **limits) {
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next((*limits)->counts, &cursor, &key, &value))
        MEMORY_FREE(value);
    map_destroy(&(*limits)->counts);
    MEMORY_FREE((*limits)->exceptions);
    MEMORY_FREE(*limits);
}

static bool is_exception(const struct front_limits *limits, const struct ip_prefix *address) {
    for (size_t i = 0; i < limits->exception_count; i++)
        if (ip_prefix_contains(&limits->exceptions[i], address)) return true;
    return false;
}

static struct str text_of(const struct front_client_key *key) {
    return str_make(key->octets, key->length);
}

bool front_limits_enter(struct front_limits *limits, struct str address, struct front_client_key *key,
                        uint64_t *count) {
    struct ip_prefix prefix;
    *key = (struct front_client_key){0};
    if (limits->limit == 0 || !ip_address_parse(address, &prefix) || is_exception(limits, &prefix)) return true;
    struct front_client_key made = {.length = prefix.is_ipv6 ? 8 : 4};
    memcpy(made.octets, prefix.bytes, made.length);
    struct counted *counted = map_get(limits->counts, text_of(&made));
    if (counted && counted->connections >= limits->limit) {
        *count = counted->connections + 1;
        return false;
    }
    if (!counted) {
        counted = MEMORY_NEW(struct counted);
        map_put(limits->counts, text_of(&made), counted);
    }
    counted->connections++;
    *key = made;
    return true;
}

void front_limits_leave(struct front_limits *limits, struct front_client_key *key) {
    if (key->length == 0) return;
    struct counted *counted = map_get(limits->counts, text_of(key));
    if (--counted->connections == 0) {
        map_remove(limits->counts, text_of(key));
        MEMORY_FREE(counted);
    }
    key->length = 0;
}
