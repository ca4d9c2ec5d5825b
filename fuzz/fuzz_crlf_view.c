/* Fuzz target: ranges of the CR LF form put together are the CR LF form, and its size is the one counted. */
#include "crlf_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t step = size > 0 ? (size_t)data[0] % 37 + 1 : 1;
    struct str span = str_make((const char *)data, size);
    struct buf plain = {0}, out = {0};
    uint64_t lines = 0;
    for (size_t i = 0; i < size; i++) {
        bool lf = data[i] == '\n';
        if (lf) lines++;
        if (lf && (i == 0 || data[i - 1] != '\r')) buf_append_char(&plain, '\r');
        buf_append_char(&plain, (char)data[i]);
    }
    struct crlf_count count = crlf_view_count(span);
    check(count.size == plain.length && count.lines == lines);
    check(crlf_view_append_all(&out, span) && str_equal(buf_str(&out), buf_str(&plain)));
    buf_clear(&out);
    struct crlf_cursor cursor = {0};
    for (size_t at = 0; at < plain.length; at += step)
        check(crlf_view_append(&out, span, at, step, &cursor));
    check(str_equal(buf_str(&out), buf_str(&plain)));
    buf_clear(&out);
    size_t middle = plain.length / 2;
    check(crlf_view_append(&out, span, middle, step, NULL));
    check(str_equal(buf_str(&out), str_slice(buf_str(&plain), middle, middle + step)));
    buf_free(&plain);
    buf_free(&out);
    return 0;
}
