/* xtext: RFC 3461 xtext and the address forms of RFC 6533. */
#include "xtext.h"
#include "utf8.h"

static const char hex_digits[] = "0123456789ABCDEF";

bool xtext_encode(struct buf *out, struct str data) {
    for (size_t i = 0; i < data.length; i++) {
        unsigned char c = (unsigned char)data.data[i];
        if (c > 0x20 && c < 0x7f && c != '+' && c != '=') {
            buf_append_char(out, (char)c);
        } else {
            const char quoted[3] = {'+', hex_digits[c >> 4], hex_digits[c & 15]};
            buf_append_bytes(out, quoted, sizeof quoted);
        }
    }
    return !buf_overflowed(out);
}

/* Lower case digits are accepted: senders use them, the meaning is plain. */
static int hex_value(char c) {
    if (ascii_is_digit(c)) return c - '0';
    c = ascii_upper(c);
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool xtext_decode(struct buf *out, struct str text) {
    size_t before = out->length;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c <= ' ' || c > '~' || c == '=') goto bad; /* high octets are negative or above '~' */
        if (c == '+') {
            int high = i + 2 < text.length ? hex_value(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;
            if (low < 0) goto bad;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (!buf_append_char(out, c)) goto bad;
    }
    return true;
bad:
    buf_truncate(out, before);
    return false;
}

static bool utf8_encode(struct buf *out, struct str address, bool keep_utf8) {
    size_t before = out->length;
    while (address.length > 0) {
        uint32_t c = 0;
        size_t taken = utf8_decode(address, &c);
        if (taken == 0) goto bad;
        bool plain = c > 0x20 && c < 0x7f && c != '+' && c != '=' && c != '\\';
        if (plain || (keep_utf8 && c >= 0xa0 && !utf8_is_control(c))) {
            buf_append(out, str_slice(address, 0, taken));
        } else {
            buf_printf(out, c < 0x10 ? "\\x{%02X}" : "\\x{%X}", (unsigned)c);
        }
        if (buf_overflowed(out)) goto bad;
        address = str_from_offset(address, taken);
    }
    return true;
bad:
    buf_truncate(out, before);
    return false;
}

bool utf8_address_xtext_encode(struct buf *out, struct str address) {
    return utf8_encode(out, address, false);
}
bool utf8_address_unitext_encode(struct buf *out, struct str address) {
    return utf8_encode(out, address, true);
}

/* "\x{HEX}" at the start of text: octets taken, 0 if it is none. */
static size_t take_escape(struct str text, uint32_t *code_point) {
    if (!str_starts(text, STR("\\x{"))) return 0;
    uint32_t c = 0;
    size_t i = 3;
    for (; i < text.length && i < 3 + 6 && text.data[i] != '}'; i++) {
        int value = hex_value(text.data[i]);
        if (value < 0) return 0;
        c = c << 4 | (uint32_t)value;
    }
    if (i < 5 || i >= text.length || text.data[i] != '}' || c > 0x10ffff || utf8_is_control(c)) return 0;
    *code_point = c;
    return i + 1;
}

bool utf8_address_decode(struct buf *out, struct str text) {
    size_t before = out->length;
    while (text.length > 0) {
        uint32_t c = 0;
        size_t taken;
        if (text.data[0] == '\\') {
            taken = take_escape(text, &c);
        } else {
            taken = utf8_decode(text, &c);
            if (c <= 0x20 || utf8_is_control(c) || c == '+' || c == '=') taken = 0;
        }
        if (taken == 0 || !utf8_append(out, c)) {
            buf_truncate(out, before);
            return false;
        }
        text = str_from_offset(text, taken);
    }
    return !buf_overflowed(out);
}
