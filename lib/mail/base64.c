/* base64: strict encoder and decoder. */
#include "base64.h"
#include "memory.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool base64_encode(struct buf *out, struct str data) {
    if (data.length > SIZE_MAX / 2) return false;
    size_t size = base64_encoded_length(data.length);
    if (size == 0) return true;
    char *to = buf_reserve(out, size);
    if (to == NULL) return false;
    const unsigned char *from = (const unsigned char *)data.data;
    size_t i = 0, o = 0;
    for (; i + 3 <= data.length; i += 3) {
        uint32_t bits = (uint32_t)from[i] << 16 | (uint32_t)from[i + 1] << 8 | from[i + 2];
        to[o++] = alphabet[bits >> 18];
        to[o++] = alphabet[bits >> 12 & 63];
        to[o++] = alphabet[bits >> 6 & 63];
        to[o++] = alphabet[bits & 63];
    }
    size_t left = data.length - i;
    if (left > 0) {
        uint32_t bits = (uint32_t)from[i] << 16 | (left == 2 ? (uint32_t)from[i + 1] << 8 : 0);
        to[o++] = alphabet[bits >> 18];
        to[o++] = alphabet[bits >> 12 & 63];
        to[o++] = left == 2 ? alphabet[bits >> 6 & 63] : '=';
        to[o++] = '=';
    }
    buf_commit(out, size);
    return true;
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
}

/* Four characters into up to three octets; 0 if they are no group. */
static size_t decode_group(const char *group, bool final, unsigned char octets[3]) {
    size_t padding = final && group[3] == '=' ? (group[2] == '=' ? 2 : 1) : 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? value_of(group[i]) : 0;
        if (value < 0) return 0;
        bits = bits << 6 | (uint32_t)value;
    }
    if ((padding == 1 && (bits & 0xff) != 0) || (padding == 2 && (bits & 0xffff) != 0)) return 0;
    octets[0] = (unsigned char)(bits >> 16);
    octets[1] = (unsigned char)(bits >> 8);
    octets[2] = (unsigned char)bits;
    return 3 - padding;
}

bool base64_decode(struct buf *out, struct str text) {
    if (text.length % 4 != 0) return false;
    if (text.length == 0) return true;
    size_t size = text.length / 4 * 3;
    if (text.data[text.length - 1] == '=') size -= text.data[text.length - 2] == '=' ? 2 : 1;
    char *to = buf_reserve(out, size);
    if (to == NULL) return false;
    size_t filled = 0;
    for (size_t i = 0; i < text.length; i += 4) {
        unsigned char octets[3];
        size_t got = decode_group(text.data + i, i + 4 == text.length, octets);
        if (got == 0 || filled + got > size) {
            memory_wipe(to, filled);
            return false;
        }
        memcpy(to + filled, octets, got);
        filled += got;
    }
    buf_commit(out, filled);
    return true;
}
