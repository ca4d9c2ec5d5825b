/* mutf7: base64 of UTF-16 between '&' and '-'. */
#include "mutf7.h"
#include "utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* What stands for itself; '&' does in UTF-8, not in the encoded form. */
static bool is_direct(uint32_t c) {
    return c >= 0x20 && c < 0x7f;
}

static int sextet_of(char c) {
    const char *found = c != '\0' ? strchr(alphabet, c) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

/* ---- decoding */

struct decoder {
    struct buf *out;
    uint32_t bits;
    unsigned bit_count; /* below 16, and not yet a unit */
    uint32_t high;      /* surrogate that waits for its other half; 0: none */
};

/* A UTF-16 unit; false where it does not fit. What could stand for itself must not come so. */
static bool take_unit(struct decoder *decoder, uint32_t unit) {
    bool is_high = unit >= 0xd800 && unit < 0xdc00, is_low = unit >= 0xdc00 && unit < 0xe000;
    if (is_low != (decoder->high != 0)) return false;
    if (is_high) {
        decoder->high = unit;
        return true;
    }
    uint32_t c = is_low ? 0x10000 + ((decoder->high - 0xd800) << 10) + (unit - 0xdc00) : unit;
    decoder->high = 0;
    return !is_direct(c) && !utf8_is_control(c) && utf8_append(decoder->out, c);
}

/* The base64 at the start of rest, up to and with its '-': how many octets, 0 if it is malformed. */
static size_t take_shifted(struct decoder *decoder, struct str rest) {
    decoder->bits = decoder->bit_count = decoder->high = 0;
    for (size_t i = 0; i < rest.length; i++) {
        if (rest.data[i] == '-') {
            bool padded = decoder->bit_count < 6 && (decoder->bits & ((1U << decoder->bit_count) - 1)) == 0;
            return padded && decoder->high == 0 && i > 0 ? i + 1 : 0;
        }
        int sextet = sextet_of(rest.data[i]);
        if (sextet < 0) return 0;
        decoder->bits = decoder->bits << 6 | (uint32_t)sextet;
        decoder->bit_count += 6;
        if (decoder->bit_count < 16) continue;
        decoder->bit_count -= 16;
        if (!take_unit(decoder, decoder->bits >> decoder->bit_count & 0xffff)) return 0;
    }
    return 0;
}

static bool decode(struct buf *out, struct str name) {
    struct decoder decoder = {.out = out};
    bool shifted = false; /* a shift has just ended: another would have gone on with it */
    for (size_t i = 0; i < name.length;) {
        char c = name.data[i++];
        if (c != '&') {
            if (!is_direct((unsigned char)c) || !buf_append_char(out, c)) return false;
            shifted = false;
        } else if (i < name.length && name.data[i] == '-') {
            if (!buf_append_char(out, '&')) return false;
            i++;
            shifted = false;
        } else {
            size_t taken = shifted ? 0 : take_shifted(&decoder, str_from_offset(name, i));
            if (taken == 0) return false;
            i += taken;
            shifted = true;
        }
    }
    return true;
}

bool mutf7_decode(struct buf *out, struct str name) {
    size_t before = out->length;
    bool good = decode(out, name);
    if (!good) buf_truncate(out, before);
    return good;
}

/* ---- encoding */

struct encoder {
    struct buf *out;
    uint32_t bits;
    unsigned bit_count; /* below 6 */
    bool shifted;
};

static void put_unit(struct encoder *encoder, uint32_t unit) {
    encoder->bits = encoder->bits << 16 | unit;
    encoder->bit_count += 16;
    for (; encoder->bit_count >= 6; encoder->bit_count -= 6)
        buf_append_char(encoder->out, alphabet[encoder->bits >> (encoder->bit_count - 6) & 63]);
}

static void end_shift(struct encoder *encoder) {
    if (!encoder->shifted) return;
    if (encoder->bit_count > 0) buf_append_char(encoder->out, alphabet[encoder->bits << (6 - encoder->bit_count) & 63]);
    buf_append_char(encoder->out, '-');
    encoder->shifted = false;
}

static void put_shifted(struct encoder *encoder, uint32_t c) {
    if (!encoder->shifted) {
        buf_append_char(encoder->out, '&');
        encoder->bits = encoder->bit_count = 0;
        encoder->shifted = true;
    }
    if (c >= 0x10000) {
        put_unit(encoder, 0xd800 + ((c - 0x10000) >> 10));
        c = 0xdc00 + ((c - 0x10000) & 0x3ff);
    }
    put_unit(encoder, c);
}

static bool encode(struct buf *out, struct str name) {
    struct encoder encoder = {.out = out};
    while (name.length > 0) {
        uint32_t c = 0;
        size_t taken = utf8_decode(name, &c);
        if (taken == 0 || utf8_is_control(c)) return false;
        name = str_from_offset(name, taken);
        if (!is_direct(c)) {
            put_shifted(&encoder, c);
            continue;
        }
        end_shift(&encoder);
        buf_append_char(out, (char)c);
        if (c == '&') buf_append_char(out, '-');
    }
    end_shift(&encoder);
    return true;
}

bool mutf7_encode(struct buf *out, struct str name) {
    size_t before = out->length;
    bool overflow = out->overflow;
    out->overflow = false;
    bool good = encode(out, name) && !out->overflow;
    if (!good) buf_truncate(out, before);
    out->overflow = out->overflow || overflow;
    return good;
}
