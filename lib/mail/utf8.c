/* utf8: decoding and encoding of single code points. */
#include "utf8.h"

size_t utf8_decode(struct str s, uint32_t *code_point) {
    if (s.length == 0) return 0;
    const unsigned char *p = (const unsigned char *)s.data;
    if (p[0] < 0x80) {
        *code_point = p[0];
        return 1;
    }
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || s.length < length) return 0;
    uint32_t c = p[0] & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3fU);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    *code_point = c;
    return length;
}

bool utf8_append(struct buf *out, uint32_t c) {
    char octets[4];
    size_t length = 0;
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
    if (c < 0x80) {
        octets[length++] = (char)c;
    } else {
        size_t follow = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
        static const uint32_t mark[] = {0, 0xc0, 0xe0, 0xf0};
        octets[length++] = (char)(mark[follow] | c >> (6 * follow));
        while (follow-- > 0)
            octets[length++] = (char)(0x80 | (c >> (6 * follow) & 0x3f));
    }
    return buf_append_bytes(out, octets, length);
}

bool utf8_is_text(struct str s) {
    while (s.length > 0) {
        uint32_t c = 0;
        size_t taken = utf8_decode(s, &c);
        if (taken == 0 || utf8_is_control(c)) return false;
        s = str_from_offset(s, taken);
    }
    return true;
}
