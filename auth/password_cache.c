/* password_cache: see password_cache.h. */
#include "password_cache.h"
#include "clock.h"
#include "memory.h"
#include <openssl/evp.h>
#include <openssl/rand.h>

#define ENTRIES ((size_t)8192)
#define SIZE    32

struct entry {
    deadline expires;
    uint8_t digest[SIZE];
};

struct password_cache {
    int64_t milliseconds;
    uint8_t key[SIZE];
    struct entry entries[ENTRIES];
};

struct password_cache *password_cache_create(int64_t seconds) {
    struct password_cache *cache = MEMORY_NEW(struct password_cache);
    cache->milliseconds = seconds * 1000;
    if (RAND_bytes(cache->key, sizeof cache->key) != 1) MEMORY_FREE(cache);
    return cache;
}

static void add_part(EVP_MAC_CTX *context, struct str part, bool *good) {
    uint64_t length = part.length;
    *good = *good && EVP_MAC_update(context, (const unsigned char *)&length, sizeof length) == 1 &&
            EVP_MAC_update(context, (const unsigned char *)part.data, part.length) == 1;
}

/* Lengths stand before the parts, so that nothing is gained by moving a border. */
static bool digest_of(const struct password_cache *cache, struct str account, struct str secret, struct str password,
                      uint8_t out[SIZE]) {
    char name[] = "SHA256";
    OSSL_PARAM options[] = {OSSL_PARAM_construct_utf8_string("digest", name, 0), OSSL_PARAM_construct_end()};
    EVP_MAC *method = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = method ? EVP_MAC_CTX_new(method) : NULL;
    bool good = context && EVP_MAC_init(context, cache->key, sizeof cache->key, options) == 1;
    size_t size = 0;
    add_part(context, account, &good);
    add_part(context, secret, &good);
    add_part(context, password, &good);
    good = good && EVP_MAC_final(context, out, &size, SIZE) == 1 && size == SIZE;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(method);
    return good;
}

/* The digest is as random as the key: its own first bytes choose the place. */
static struct entry *place_of(struct password_cache *cache, const uint8_t digest[SIZE]) {
    size_t number;
    memcpy(&number, digest, sizeof number);
    return &cache->entries[number % ENTRIES];
}

bool password_cache_has(struct password_cache *cache, struct str account, struct str secret, struct str password) {
    uint8_t digest[SIZE];
    if (cache->milliseconds == 0 || !digest_of(cache, account, secret, password, digest)) return false;
    const struct entry *entry = place_of(cache, digest);
    return deadline_left(entry->expires) > 0 && memory_equal_secret(entry->digest, digest, SIZE);
}

void password_cache_add(struct password_cache *cache, struct str account, struct str secret, struct str password) {
    uint8_t digest[SIZE];
    if (cache->milliseconds == 0 || !digest_of(cache, account, secret, password, digest)) return;
    struct entry *entry = place_of(cache, digest);
    memcpy(entry->digest, digest, SIZE);
    entry->expires = deadline_in(cache->milliseconds);
}

void password_cache_expire(struct password_cache *cache) {
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->expires && deadline_left(entry->expires) == 0) memory_wipe(entry, sizeof *entry);
    }
}
