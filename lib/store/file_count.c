/* See file_count.h. */
#include "file_count.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define COUNT_PIECE 32768 /* octets of a file that are counted at once */

/* Octets that CR LF line ends add. before: the octet in front of these. */
static uint64_t bare_line_feeds(const char *bytes, size_t length, char before) {
    uint64_t count = 0;
    for (const char *at = bytes, *end = bytes + length; at < end; at++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at) break;
        count += (at == bytes ? before : at[-1]) != '\r';
    }
    return count;
}

/* Read piece by piece: what is looked at once is not worth mapping. */
bool file_count(int file, uint64_t size, uint64_t *virtual_size) {
    char piece[COUNT_PIECE], before = '\0';
    uint64_t bare = 0;
    for (uint64_t done = 0; done < size;) {
        ssize_t got = pread(file, piece, sizeof piece, (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (got == 0) break;
        if ((uint64_t)got > size - done) got = (ssize_t)(size - done);
        bare += bare_line_feeds(piece, (size_t)got, before);
        before = piece[got - 1];
        done += (uint64_t)got;
    }
    *virtual_size = size + bare;
    return true;
}
