/* Hashes: SipHash-2-4 for tables that outsiders can fill, CRC-32C for files. */
#include "hash.h"
#include "memory.h"
#include <errno.h>
#include <sys/random.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
#endif

/* Set once before main and never again: the key, and how sums are counted on this CPU. It is drawn
 * that early so that no sandbox has to allow for it. */
static struct {
    uint64_t key[2];
    uint32_t (*crc)(uint32_t, const unsigned char *, size_t);
    uint32_t table[8][256]; /* filled only where the CPU has no instruction */
} start;

static uint64_t load64(const unsigned char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static uint64_t rotate(uint64_t word, unsigned int bits) {
    return (word << bits) | (word >> (64 - bits));
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

/* SipHash-2-4 (Aumasson and Bernstein, 2012). */
static uint64_t sip_hash(const uint64_t key[2], const unsigned char *bytes, size_t length) {
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    size_t whole = length & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8)
        sip_word(v, load64(bytes + i));
    uint64_t last = (uint64_t)length << 56;
    for (size_t i = whole; i < length; i++)
        last |= (uint64_t)bytes[i] << (8 * (i - whole));
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_keyed(struct str s) {
    return sip_hash(start.key, (const unsigned char *)s.data, s.length);
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_instruction(uint32_t so_far, const unsigned char *bytes,
                                                                  size_t length) {
    uint64_t wide = so_far;
    while (length >= 8) {
        wide = _mm_crc32_u64(wide, load64(bytes));
        bytes += 8;
        length -= 8;
    }
    uint32_t crc = (uint32_t)wide;
    while (length--)
        crc = _mm_crc32_u8(crc, *bytes++);
    return crc;
}
#endif

/* Eight tables, eight bytes a step: table[n][b] is what byte b does with n zero bytes after it. */
static uint32_t crc_table(uint32_t crc, const unsigned char *bytes, size_t length) {
    while (length >= 8) {
        uint64_t word = load64(bytes) ^ crc;
        crc = 0;
        for (unsigned int i = 0; i < 8; i++)
            crc ^= start.table[7 - i][(word >> (8 * i)) & 0xff];
        bytes += 8;
        length -= 8;
    }
    while (length--)
        crc = start.table[0][(crc ^ *bytes++) & 0xff] ^ (crc >> 8);
    return crc;
}

static void fill_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
        start.table[0][byte] = crc;
    }
    for (size_t n = 1; n < 8; n++) {
        for (size_t byte = 0; byte < 256; byte++) {
            uint32_t before = start.table[n - 1][byte];
            start.table[n][byte] = (before >> 8) ^ start.table[0][before & 0xff];
        }
    }
}

uint32_t crc32c(uint32_t so_far, const void *data, size_t length) {
    return length ? ~start.crc(~so_far, data, length) : so_far;
}

static void draw_key(void) {
    ssize_t got;
    do
        got = getrandom(start.key, sizeof(start.key), 0);
    while (got < 0 && errno == EINTR);
    /* Up to 256 bytes come whole or not at all. A table that outsiders can fill needs a secret. */
    if (got != (ssize_t)sizeof(start.key)) memory_exhausted(sizeof(start.key));
}

__attribute__((constructor)) static void hash_start(void) {
    draw_key();
#if defined(__x86_64__)
    /* One cpuid and not libgcc's dozen: each leaves a virtual machine, for 30 us and more at every start of a command. */
    unsigned a, b, c = 0, d;
    if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2)) {
        start.crc = crc_instruction;
        return;
    }
#endif
    fill_table();
    start.crc = crc_table;
}
