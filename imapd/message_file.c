/* See message_file.h. */
#include "message_file.h"

#include <unistd.h>

#define BEGINNING       ((size_t)16384) /* octets in which almost all headers end */
#define BEGINNING_FIRST 4096            /* octets in which most do */

bool message_file_read(int file, uint64_t size, size_t limit, struct buf *bytes) {
    if (size == 0 || size >= limit) return false;
    size_t room = (size_t)size + 1;
    buf_clear(bytes);
    char *to = buf_reserve(bytes, room);
    ssize_t got = to ? read(file, to, room) : -1;
    if (got < 0 || (size_t)got == room) return false;
    buf_commit(bytes, (size_t)got);
    return true;
}

/* The end of the first empty line; 0: there is none. The header ends there, or before. */
static size_t empty_line_end(struct str text) {
    size_t at = 0;
    while (at < text.length) {
        if (text.data[at] == '\n') return at + 1;
        if (text.data[at] == '\r' && at + 1 < text.length && text.data[at + 1] == '\n') return at + 2;
        const char *end = memchr(text.data + at, '\n', text.length - at);
        if (!end) break;
        at = (size_t)(end - text.data) + 1;
    }
    return 0;
}

/* Reads the file up to where the header ends for sure, or BEGINNING octets. Returns where that is; 0: not within them.
 * *whole: the file ended there. */
static size_t read_header(int file, struct buf *bytes, bool *whole) {
    size_t end = 0;
    *whole = false;
    buf_clear(bytes);
    while (end == 0 && !*whole && bytes->length < BEGINNING) {
        size_t wanted = bytes->length == 0 ? BEGINNING_FIRST : BEGINNING - bytes->length;
        char *to = buf_reserve(bytes, wanted);
        ssize_t got = to ? read(file, to, wanted) : -1;
        if (got < 0) return 0;
        buf_commit(bytes, (size_t)got);
        *whole = (size_t)got < wanted;
        end = empty_line_end(buf_str(bytes));
    }
    return end > 0 || !*whole ? end : bytes->length;
}

bool message_file_read_header(int file, struct buf *bytes, struct str *header, bool *whole) {
    size_t end = read_header(file, bytes, whole);
    if (end == 0 && bytes->length > 0) return false;
    *header = str_slice(buf_str(bytes), 0, end);
    return *whole || end > 0;
}
