/* buf: an owned, growing run of bytes with a limit.
 *
 * Appending past the limit appends nothing, sets `overflow` and returns false;
 * the flag stays until buf_clear, so that a builder may append many pieces and
 * look once (buf_overflowed). There is always a NUL after the last byte, so
 * buf_string() may go to a system call; bytes may hold NUL themselves.
 * A zeroed struct buf is an empty one with no limit. */
#ifndef TERN_BUF_H
#define TERN_BUF_H

#include "compiler.h"
#include "str.h"
#include <stdarg.h>

struct buf {
    char *data; /* NULL while nothing was ever appended */
    size_t length;
    size_t capacity;
    size_t limit; /* most bytes it may hold; 0 is no limit */
    bool overflow;
};

/* An empty buf that will hold at most limit bytes (0: no limit). */
struct buf buf_make(size_t limit);
/* Frees the bytes; the buf is then empty, with the same limit. */
void buf_free(struct buf *buf);
/* Wipes the bytes, then frees them: for secrets. */
void buf_free_secret(struct buf *buf);
/* Empties it, keeps the memory, forgets an overflow. */
void buf_clear(struct buf *buf);

bool buf_append(struct buf *buf, struct str s);
bool buf_append_bytes(struct buf *buf, const void *data, size_t length);
static inline bool buf_append_char(struct buf *buf, char c) {
    if (buf->capacity - buf->length < 2) return buf_append_bytes(buf, &c, 1);
    buf->data[buf->length++] = c;
    buf->data[buf->length] = '\0';
    return true;
}
bool buf_append_u64(struct buf *buf, uint64_t number);
bool buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
bool buf_vprintf(struct buf *buf, const char *format, va_list arguments) PRINTF_LIKE(2, 0);
/* Puts the bytes in at an offset (at most the length). */
bool buf_insert(struct buf *buf, size_t offset, struct str s);
/* Takes length bytes out at an offset; both are cut to what is there. */
void buf_remove(struct buf *buf, size_t offset, size_t length);
/* Cuts to length, if it is longer. */
void buf_truncate(struct buf *buf, size_t length);
/* Room for size more bytes, not counted yet: write there, then buf_commit.
 * NULL when the limit forbids it. */
MUST_USE char *buf_reserve(struct buf *buf, size_t size);
void buf_commit(struct buf *buf, size_t size);

static inline struct str buf_str(const struct buf *buf) {
    return (struct str){buf->data ? buf->data : "", buf->length};
}
static inline const char *buf_string(const struct buf *buf) { return buf->data ? buf->data : ""; }
static inline bool buf_overflowed(const struct buf *buf) { return buf->overflow; }

#endif
