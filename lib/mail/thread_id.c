/* thread: message IDs out of header fields, and their hashes. */
#include "thread.h"

#define THREAD_ID_MAX 998 /* octets: RFC 5322 allows no longer line */

/* FNV-1a with the end of MurmurHash3, which spreads what is left in the low bits. A hash that two IDs share joins two
 * threads, no more: so it needs no secret, and can be kept. */
struct hash {
    uint64_t value;
};

static void hash_octet(struct hash *hash, char c) {
    hash->value = (hash->value ^ (unsigned char)c) * UINT64_C(0x100000001b3);
}

static uint64_t hash_end(struct hash hash) {
    uint64_t h = hash.value;
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    h ^= h >> 33;
    return h != 0 ? h : 1;
}

/* Hashes what stands after '<' up to '>', quotes of a quoted string and blanks left
 * out: offset of the '>', or STR_NONE if it is no ID. */
static size_t hash_id(struct str text, size_t at, uint64_t *value) {
    struct hash hash = {UINT64_C(0xcbf29ce484222325)};
    bool quoted = false, domain = false;
    size_t begin = at, limit = text.length - at < THREAD_ID_MAX ? text.length : at + THREAD_ID_MAX;
    for (; at < limit; at++) {
        char c = text.data[at];
        if (!quoted && c == '>') {
            *value = hash_end(hash);
            return at > begin && domain ? at : STR_NONE;
        }
        if (!quoted && c == '<') return STR_NONE; /* the one before was not closed */
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (c == '\r' || c == '\n' || (!quoted && ascii_is_space(c))) continue;
        if (quoted && c == '\\' && at + 1 < limit) c = text.data[++at];
        if (!quoted && c == '@') domain = true;
        hash_octet(&hash, c);
    }
    return STR_NONE;
}

/* The next ID from *at on; false at the end. A '<' that begins none is passed over. */
static bool next_id(struct str text, size_t *at, uint64_t *value) {
    while (*at < text.length) {
        const char *open = memchr(text.data + *at, '<', text.length - *at);
        if (open == NULL) break;
        size_t begin = (size_t)(open - text.data) + 1;
        size_t end = hash_id(text, begin, value);
        *at = end == STR_NONE ? begin : end + 1;
        if (end != STR_NONE) return true;
    }
    return false;
}

uint64_t thread_id_hash(struct str value) {
    uint64_t hash = 0;
    size_t at = 0;
    return next_id(value, &at, &hash) ? hash : 0;
}

size_t thread_read_references(struct str references, struct str in_reply_to, uint64_t hashes[THREAD_REFERENCES_MAX]) {
    size_t at = 0, count = 0;
    uint64_t hash = 0;
    while (next_id(references, &at, &hash)) {
        if (count == THREAD_REFERENCES_MAX) memmove(hashes, hashes + 1, --count * sizeof hash);
        hashes[count++] = hash;
    }
    at = 0;
    if (count == 0 && next_id(in_reply_to, &at, &hash)) hashes[count++] = hash;
    return count;
}
