/* See message_file.h. */
#include "message_file.h"

#include <sys/uio.h>

#define BEGINNING       ((size_t)16384) /* octets in which almost all headers end */
#define BEGINNING_FIRST 4096 /* octets in which most do: no more than a page, so that all or none is at hand */

/* What follows in the file on what is in bytes. Returns how many octets that were, less than 0: none could be read. */
static ssize_t read_more(int file, enum message_reading how, size_t wanted, struct buf *bytes) {
    char *to = buf_reserve(bytes, wanted);
    struct iovec into = {to, wanted};
    ssize_t got = to ? preadv2(file, &into, 1, (off_t)bytes->length, how == READ_AT_HAND ? RWF_NOWAIT : 0) : -1;
    if (got > 0) buf_commit(bytes, (size_t)got);
    return got;
}

bool message_file_read(int file, enum message_reading how, uint64_t size, size_t limit, struct buf *bytes) {
    if (size == 0 || size >= limit) return false;
    size_t room = (size_t)size + 1;
    buf_clear(bytes);
    ssize_t got = read_more(file, how, room, bytes);
    return got >= 0 && (size_t)got < room && (how == READ_WAITING || (size_t)got == size);
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
 * *whole: the file ended there. Of more than a page at hand the last ones may be missing: that is no end. */
static size_t read_header(int file, enum message_reading how, struct buf *bytes, bool *whole) {
    size_t end = 0;
    *whole = false;
    buf_clear(bytes);
    while (end == 0 && !*whole && bytes->length < BEGINNING) {
        bool first = bytes->length == 0;
        size_t wanted = first ? BEGINNING_FIRST : BEGINNING - bytes->length;
        ssize_t got = read_more(file, how, wanted, bytes);
        if (got < 0) return 0;
        *whole = (size_t)got < wanted && (first || how == READ_WAITING);
        end = empty_line_end(buf_str(bytes));
        if (end == 0 && !*whole && (size_t)got < wanted) return 0;
    }
    return end > 0 || !*whole ? end : bytes->length;
}

bool message_file_read_header(int file, enum message_reading how, struct buf *bytes, struct str *header, bool *whole) {
    size_t end = read_header(file, how, bytes, whole);
    if (end == 0 && bytes->length > 0) return false;
    *header = str_slice(buf_str(bytes), 0, end);
    return *whole || end > 0;
}
