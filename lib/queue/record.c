/* Records of the queue file: see record.h. Numbers are little-endian base 128,
 * texts a number and that many bytes. */
#include "record.h"
#include "hash.h"

static void put_u32(char *to, uint32_t value) {
    for (unsigned i = 0; i < 4; i++)
        to[i] = (char)(unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const char *from) {
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)(unsigned char)from[i] << (8 * i);
    return value;
}

size_t record_begin(struct buf *bytes, char type) {
    size_t begin = bytes->length;
    const char frame[RECORD_FRAME_SIZE] = {0, 0, 0, 0, 0, 0, 0, 0, type};
    buf_append_bytes(bytes, frame, sizeof frame);
    return begin;
}

bool record_number(struct buf *bytes, uint64_t number) {
    char digits[10];
    size_t count = 0;
    do {
        unsigned char low = (unsigned char)(number & 0x7f);
        number >>= 7;
        digits[count++] = (char)(number ? low | 0x80 : low);
    } while (number);
    return buf_append_bytes(bytes, digits, count);
}

bool record_text(struct buf *bytes, struct str text) {
    return record_number(bytes, text.length) && buf_append(bytes, text);
}

bool record_end(struct buf *bytes, size_t begin) {
    if (buf_overflowed(bytes)) return false;
    size_t length = bytes->length - begin - RECORD_FRAME_SIZE;
    if (length > RECORD_LIMIT) return false;
    put_u32(bytes->data + begin, (uint32_t)length);
    put_u32(bytes->data + begin + 4, crc32c(0, bytes->data + begin + 8, length + 1));
    return true;
}

bool record_next(struct str *rest, char *type, struct str *fields) {
    if (rest->length < RECORD_FRAME_SIZE) return false;
    size_t length = get_u32(rest->data);
    if (length > RECORD_LIMIT || length > rest->length - RECORD_FRAME_SIZE) return false;
    if (crc32c(0, rest->data + 8, length + 1) != get_u32(rest->data + 4)) return false;
    *type = rest->data[8];
    *fields = str_make(rest->data + RECORD_FRAME_SIZE, length);
    *rest = str_from_offset(*rest, RECORD_FRAME_SIZE + length);
    return true;
}

bool record_skip(struct str *rest) {
    if (rest->length < RECORD_FRAME_SIZE) return false;
    size_t length = get_u32(rest->data);
    if (length > RECORD_LIMIT || length > rest->length - RECORD_FRAME_SIZE) return false;
    *rest = str_from_offset(*rest, RECORD_FRAME_SIZE + length);
    return true;
}

bool record_read_number(struct str *fields, uint64_t *number) {
    uint64_t value = 0;
    for (size_t i = 0; i < fields->length && i < 10; i++) {
        unsigned char byte = (unsigned char)fields->data[i];
        if (i == 9 && byte > 1) return false;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *fields = str_from_offset(*fields, i + 1);
            *number = value;
            return true;
        }
    }
    return false;
}

bool record_read_text(struct str *fields, struct str *text) {
    struct str rest = *fields;
    uint64_t length;
    if (!record_read_number(&rest, &length) || length > rest.length) return false;
    *text = str_slice(rest, 0, (size_t)length);
    *fields = str_from_offset(rest, (size_t)length);
    return true;
}
