/* The line reader against a plain model of its rules, with the bytes arriving in
 * pieces. The first byte chooses the pieces, the second the limit and the mode. */
#include <errno.h>

#include "stream.h"

struct source {
    const uint8_t *data;
    size_t size, at, piece;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static long source_read(void *state, void *data, size_t length, bool *wait_for_write) {
    struct source *source = state;
    size_t left = source->size - source->at;

    *wait_for_write = false;
    if (length > left) length = left;
    if (length > source->piece) length = source->piece;
    memcpy(data, source->data + source->at, length);
    source->at += length;
    return (long)length;
}

static long source_write(void *state, const void *data, size_t length, bool *wait_for_write) {
    (void)state;
    (void)data;
    *wait_for_write = true;
    return (long)length;
}

static const struct stream_transport transport = {.read = source_read, .write = source_write};

/* The rules, one byte at a time, without buffers. */
static enum stream_result model(struct str *rest, size_t limit, bool bare_lf, struct str *line) {
    struct str input = *rest;
    enum stream_result result = STREAM_OK;
    size_t lf = 0, length;

    while (lf < input.length && input.data[lf] != '\n') lf++;
    if (lf + 1 > limit && input.length >= limit) {
        /* Without an LF within the limit: on to the real end. */
        for (size_t i = 0; i < input.length; i++) {
            if (input.data[i] != '\n' || !(bare_lf || (i > 0 && input.data[i - 1] == '\r'))) continue;
            if (i + 1 <= limit) continue;
            *rest = str_from_offset(input, i + 1);
            return STREAM_TOO_LONG;
        }
        return STREAM_EOF;
    }
    if (lf == input.length) return STREAM_EOF;
    *rest = str_from_offset(input, lf + 1);
    length = lf > 0 && input.data[lf - 1] == '\r' ? lf - 1 : lf;
    *line = str_make(input.data, length);
    if (length == lf && !bare_lf) return STREAM_BARE_LF;
    for (size_t i = 0; i < length; i++) {
        if (input.data[i] == '\r') return STREAM_BARE_CR;
        if (input.data[i] == '\0') result = STREAM_NUL;
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct source source;
    struct stream *stream;
    struct str rest;
    size_t limit;
    bool bare_lf;

    if (size < 2) return 0;
    source = (struct source){data + 2, size - 2, 0, (size_t)data[0] + 1};
    limit = (size_t)(data[1] >> 1) + 2;
    bare_lf = data[1] & 1;
    rest = str_make((const char *)data + 2, size - 2);
    stream = stream_create(-1, limit);
    stream_set_transport(stream, &transport, &source);
    stream_accept_bare_lf(stream, bare_lf);
    for (;;) {
        struct str line = STR_EMPTY, expected = STR_EMPTY;
        enum stream_result result = stream_read_line(stream, &line);
        if (result != model(&rest, limit, bare_lf, &expected)) abort();
        if (!str_equal(line, expected)) abort();
        if (result == STREAM_EOF) break;
        if (source.at - stream_pending(stream) != source.size - rest.length) abort();
    }
    stream_destroy(&stream);
    return 0;
}
