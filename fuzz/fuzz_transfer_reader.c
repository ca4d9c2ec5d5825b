/* Fuzz target: bodies decode the same whatever the room; what is encoded comes back. */
#include "base64.h"
#include "transfer_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void decode(struct str body, enum mime_encoding encoding, size_t room, struct buf *out) {
    struct transfer_reader reader;
    char block[512];
    size_t got;
    transfer_reader_begin(&reader, body, encoding);
    while ((got = transfer_reader_next(&reader, block, room)) > 0) {
        check(got <= room);
        buf_append_bytes(out, block, got);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str body = str_make((const char *)data, size);
    static const enum mime_encoding encodings[] = {MIME_BASE64, MIME_QUOTED_PRINTABLE, MIME_8BIT};
    for (size_t i = 0; i < ARRAY_LENGTH(encodings); i++) {
        struct buf small = {0}, large = {0};
        decode(body, encodings[i], TRANSFER_ROOM_LEAST, &small);
        decode(body, encodings[i], 512, &large);
        check(str_equal(buf_str(&small), buf_str(&large)));
        check(transfer_reader_size(body, encodings[i]) == small.length);
        check(small.length <= 2 * size);
        buf_free(&small);
        buf_free(&large);
    }
    struct buf text = {0}, back = {0};
    check(base64_encode(&text, body));
    decode(buf_str(&text), MIME_BASE64, 100, &back);
    check(str_equal(buf_str(&back), body));
    buf_free(&text);
    buf_free(&back);
    return 0;
}
