/* Fuzz target: header, envelope and events of a queue file. The first two bytes say
 * how much of the rest is envelope. */
#include "queue_file.h"
#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct queue_header header;
    struct queue_envelope envelope;
    size_t used;
    struct str bytes = str_make((const char *)data, size);
    if (queue_header_parse(bytes, &header, NULL)) {
        char again[QUEUE_HEADER_SIZE];
        if (!queue_header_format(&header, again)) __builtin_trap();
    }
    if (size < 2) return 0;
    size_t length = (size_t)data[0] << 8 | data[1];
    struct str rest = str_from_offset(bytes, 2);
    struct arena *arena = arena_create((size_t)1 << 20);
    if (queue_envelope_parse(str_slice(rest, 0, length), str_from_offset(rest, length), arena, &envelope, &used, NULL)) {
        struct buf packed = buf_make(0);
        queue_envelope_pack(&envelope, &packed);
        buf_free(&packed);
    }
    arena_destroy(&arena);
    return 0;
}
