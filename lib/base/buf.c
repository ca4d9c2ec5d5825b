/* buf: an owned, growing run of bytes with a limit. */
#include "buf.h"
#include "memory.h"

#define CAPACITY_FIRST ((size_t)64)

struct buf buf_make(size_t limit) {
    return (struct buf){.limit = limit};
}

void buf_free(struct buf *buf) {
    free(buf->data);
    *buf = buf_make(buf->limit);
}

void buf_free_secret(struct buf *buf) {
    memory_wipe(buf->data, buf->capacity);
    buf_free(buf);
}

void buf_clear(struct buf *buf) {
    buf->length = 0;
    buf->overflow = false;
    if (buf->data) buf->data[0] = '\0';
}

/* Room for size more bytes and the NUL; false, with the flag set, if the limit forbids it. */
static bool make_room(struct buf *buf, size_t size) {
    if (buf->limit && (buf->length > buf->limit || size > buf->limit - buf->length)) {
        buf->overflow = true;
        return false;
    }
    size_t needed;
    if (__builtin_add_overflow(buf->length, size, &needed) || __builtin_add_overflow(needed, (size_t)1, &needed))
        memory_exhausted(SIZE_MAX);
    if (needed <= buf->capacity) return true;
    size_t capacity = buf->capacity > SIZE_MAX / 2 ? needed : buf->capacity * 2;
    if (buf->limit && capacity > buf->limit) capacity = needed > buf->limit ? needed : buf->limit + 1;
    if (capacity < needed) capacity = needed;
    if (capacity < CAPACITY_FIRST) capacity = buf->limit && buf->limit < CAPACITY_FIRST ? buf->limit + 1 : CAPACITY_FIRST;
    buf->data = memory_resize(buf->data, capacity, 1);
    buf->capacity = capacity;
    buf->data[buf->length] = '\0';
    return true;
}

/* True if the bytes lie in the buf itself, where growing would move them. */
static bool is_own(const struct buf *buf, const void *data) {
    uintptr_t at = (uintptr_t)data;
    uintptr_t start = (uintptr_t)buf->data;
    return buf->data && at >= start && at < start + buf->capacity;
}

static void finish(struct buf *buf, size_t length) {
    buf->length = length;
    buf->data[length] = '\0';
}

bool buf_append_bytes(struct buf *buf, const void *data, size_t length) {
    if (length < buf->capacity - buf->length) { /* nothing moves, most often; no capacity is beyond a limit */
        if (length) memmove(buf->data + buf->length, data, length);
        finish(buf, buf->length + length);
        return true;
    }
    bool own = is_own(buf, data);
    size_t offset = own ? (size_t)((const char *)data - buf->data) : 0;
    if (!make_room(buf, length)) return false;
    if (length) memmove(buf->data + buf->length, own ? buf->data + offset : data, length);
    finish(buf, buf->length + length);
    return true;
}

bool buf_append(struct buf *buf, struct str s) {
    return buf_append_bytes(buf, s.data, s.length);
}

/* Two digits at a time: long answers are numbers for the most part. */
bool buf_append_u64(struct buf *buf, uint64_t number) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051"
                                "525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    char digits[20]; /* 18446744073709551615 */
    size_t first = sizeof(digits);
    for (; number >= 100; number /= 100)
        memcpy(digits + (first -= 2), pairs + number % 100 * 2, 2);
    if (number >= 10)
        memcpy(digits + (first -= 2), pairs + number * 2, 2);
    else
        digits[--first] = (char)('0' + number);
    return buf_append_bytes(buf, digits + first, sizeof(digits) - first);
}

bool buf_vprintf(struct buf *buf, const char *format, va_list arguments) {
    /* Into memory of its own first: an argument may point into this buf. */
    char small[256];
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(small, sizeof(small), format, arguments);
    bool done = false;
    if (length < 0) {
        buf->overflow = true; /* over INT_MAX, or a wide character that has no form here */
    } else if ((size_t)length < sizeof(small)) {
        done = buf_append_bytes(buf, small, (size_t)length);
    } else if (buf->limit && (buf->length > buf->limit || (size_t)length > buf->limit - buf->length)) {
        buf->overflow = true;
    } else {
        char *large = memory_resize(NULL, (size_t)length + 1, 1);
        done = vsnprintf(large, (size_t)length + 1, format, again) == length;
        done = done && buf_append_bytes(buf, large, (size_t)length);
        free(large);
    }
    va_end(again);
    return done;
}

bool buf_printf(struct buf *buf, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool done = buf_vprintf(buf, format, arguments);
    va_end(arguments);
    return done;
}

bool buf_insert(struct buf *buf, size_t offset, struct str s) {
    if (offset > buf->length) offset = buf->length;
    char *copy = is_own(buf, s.data) ? memory_copy_string(s) : NULL;
    bool done = make_room(buf, s.length);
    if (done) {
        memmove(buf->data + offset + s.length, buf->data + offset, buf->length - offset);
        if (s.length) memcpy(buf->data + offset, copy ? copy : s.data, s.length);
        finish(buf, buf->length + s.length);
    }
    free(copy);
    return done;
}

void buf_remove(struct buf *buf, size_t offset, size_t length) {
    if (offset >= buf->length || length == 0) return;
    if (length > buf->length - offset) length = buf->length - offset;
    memmove(buf->data + offset, buf->data + offset + length, buf->length - offset - length);
    finish(buf, buf->length - length);
}

void buf_truncate(struct buf *buf, size_t length) {
    if (length < buf->length) finish(buf, length);
}

char *buf_reserve(struct buf *buf, size_t size) {
    return make_room(buf, size) ? buf->data + buf->length : NULL;
}

void buf_commit(struct buf *buf, size_t size) {
    if (!buf->data && size == 0) return;
    if (!buf->data || size >= buf->capacity - buf->length)
        memory_exhausted(size);      /* more than was reserved: the bytes are written already */
    finish(buf, buf->length + size); /* with size 0 too: the NUL may have been written over */
}
