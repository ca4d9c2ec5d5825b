/* content on its way to a server: pieces cut anywhere against the reference, and
 * nothing on the wire that could end it early. First octet: line limit; second:
 * size of the pieces. */
#include "content.h"
#include "content_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct content_writer writer = {.line_limit = data[0] == 255 ? 998 : data[0]};
    size_t piece = data[1] ? data[1] : 1, limit = writer.line_limit;
    struct str text = str_make((const char *)data + 2, size - 2);
    struct buf out = buf_make(0), wanted = buf_make(0);
    content_reference(text, limit, &wanted);
    for (size_t at = 0; at < text.length; at += piece)
        content_convert(&writer, str_slice(text, at, at + piece), &out);
    content_finish(&writer, &out);
    if (!str_equal(buf_str(&out), buf_str(&wanted)) || !content_is_clean(buf_str(&out), limit)) abort();
    buf_free(&out);
    buf_free(&wanted);
    return 0;
}
