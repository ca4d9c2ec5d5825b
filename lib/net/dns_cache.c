/* The DNS cache: a keyed map for finding, a list by last use for dropping. */
#include "dns_cache.h"
#include "hash.h"

#define POSITIVE_MAXIMUM 86400 /* seconds */
#define NEGATIVE_MAXIMUM 10800 /* RFC 2308 section 5 */
#define KEPT_LIMIT       ((size_t)32 << 10) /* bytes of an answer that is kept */
#define ANSWER_LIMIT     ((size_t)4 << 20)

struct dns_cache {
    struct map *map;
    struct dns_entry *newest, *oldest;
    size_t listed, limit;
};

struct key {
    char bytes[DNS_NAME_LIMIT + 2];
    size_t length;
};

static struct str key_make(const struct dns_question *question, struct key *key) {
    key->bytes[0] = (char)((unsigned)question->type >> 8);
    key->bytes[1] = (char)((unsigned)question->type & 0xff);
    memcpy(key->bytes + 2, question->name.text, question->name.length);
    key->length = question->name.length + 2;
    return str_make(key->bytes, key->length);
}

struct dns_cache *dns_cache_create(size_t entries) {
    struct dns_cache *cache = MEMORY_NEW(struct dns_cache);
    cache->map = map_create();
    cache->limit = entries;
    return cache;
}

struct dns_entry *dns_entry_hold(struct dns_entry *entry) {
    entry->references++;
    return entry;
}

void dns_entry_release(struct dns_entry **entry) {
    struct dns_entry *released = *entry;
    *entry = NULL;
    if (!released || --released->references > 0) return;
    arena_destroy(&released->arena);
    free(released->failure);
    free(released);
}

static void unlist(struct dns_cache *cache, struct dns_entry *entry) {
    if (!entry->listed) return;
    if (entry->newer) {
        entry->newer->older = entry->older;
    } else {
        cache->newest = entry->older;
    }
    if (entry->older) {
        entry->older->newer = entry->newer;
    } else {
        cache->oldest = entry->newer;
    }
    entry->newer = entry->older = NULL;
    entry->listed = false;
    cache->listed--;
}

static void list(struct dns_cache *cache, struct dns_entry *entry) {
    entry->older = cache->newest;
    entry->newer = NULL;
    if (cache->newest) cache->newest->newer = entry;
    cache->newest = entry;
    if (!cache->oldest) cache->oldest = entry;
    entry->listed = true;
    cache->listed++;
}

/* Out of the map and the list; the map's reference goes. */
static void drop(struct dns_cache *cache, struct dns_entry *entry) {
    struct key key;
    unlist(cache, entry);
    map_remove(cache->map, key_make(&entry->question, &key));
    dns_entry_release(&entry);
}

void dns_cache_destroy(struct dns_cache **cache) {
    if (!*cache) return;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the oldest has no older one, so the list moves on */
    while ((*cache)->oldest) drop(*cache, (*cache)->oldest);
    map_destroy(&(*cache)->map);
    MEMORY_FREE(*cache);
}

struct dns_entry *dns_cache_find(struct dns_cache *cache, const struct dns_question *question, bool *created) {
    struct key key;
    struct str bytes = key_make(question, &key);
    struct dns_entry *entry = map_get(cache->map, bytes);
    if (entry && entry->settled && entry->expires <= clock_monotonic()) {
        drop(cache, entry);
        entry = NULL;
    }
    *created = entry == NULL;
    if (entry) {
        if (entry->listed) {
            unlist(cache, entry);
            list(cache, entry);
        }
        return dns_entry_hold(entry);
    }
    entry = MEMORY_NEW(struct dns_entry);
    entry->question = *question;
    entry->arena = arena_create(ANSWER_LIMIT);
    entry->references = 1; /* the map's */
    map_put(cache->map, bytes, entry);
    return dns_entry_hold(entry);
}

static uint32_t ttl_to_keep(const struct dns_entry *entry) {
    uint32_t maximum = POSITIVE_MAXIMUM;
    if (entry->response.aliases > DNS_ALIAS_LIMIT || arena_used(entry->arena) > KEPT_LIMIT) return 0;
    if (entry->response.outcome == DNS_OUTCOME_NO_NAME || entry->response.outcome == DNS_OUTCOME_NO_DATA)
        maximum = NEGATIVE_MAXIMUM;
    return entry->response.ttl < maximum ? entry->response.ttl : maximum;
}

void dns_cache_settle(struct dns_cache *cache, struct dns_entry *entry, const struct failure *failure) {
    entry->settled = true;
    entry->answered = failure == NULL;
    if (failure) {
        entry->failure = MEMORY_NEW(struct failure);
        *entry->failure = *failure;
    }
    entry->born = clock_monotonic();
    uint32_t ttl = entry->answered ? ttl_to_keep(entry) : 0;
    entry->expires = entry->born + (int64_t)ttl * 1000;
    task_queue_wake_all(&entry->waiting);
    if (ttl == 0) {
        drop(cache, entry);
        return;
    }
    list(cache, entry);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in dns_cache_destroy */
    while (cache->listed > cache->limit && cache->oldest) drop(cache, cache->oldest);
}

uint32_t dns_entry_age(const struct dns_entry *entry) {
    return (uint32_t)((clock_monotonic() - entry->born) / 1000);
}

void dns_cache_cancel(struct dns_cache *cache) {
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(cache->map, &cursor, &key, &value)) {
        struct dns_entry *entry = value;
        if (!entry->settled && entry->task) task_cancel(entry->task);
    }
}

size_t dns_cache_count(const struct dns_cache *cache) { return cache->listed; }
