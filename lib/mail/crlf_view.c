/* crlf_view: counting and writing the CR LF form. */
#include "crlf_view.h"

/* ---- counting: 16 octets a step, compared with those one place before them */

#define LANES 16
typedef unsigned char vector __attribute__((vector_size(LANES)));
/* A lane counts to 255, then the lanes are added up. */
#define STEPS_MAX 255

static vector load(const char *from) {
    vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

static uint64_t add_lanes(vector v) {
    unsigned char lanes[LANES];
    uint64_t sum = 0;
    memcpy(lanes, &v, sizeof lanes);
    for (size_t i = 0; i < LANES; i++)
        sum += lanes[i];
    return sum;
}

/* Counts LF, and CR LF, in steps * LANES octets at p; p[-1] is there. A comparison gives 255, which is -1. */
static void count_block(const char *p, size_t steps, uint64_t *lf, uint64_t *crlf) {
    vector lines = {0}, pairs = {0};
    for (size_t i = 0; i < steps; i++, p += LANES) {
        vector is_lf = (vector)(load(p) == '\n');
        lines -= is_lf;
        pairs -= is_lf & (vector)(load(p - 1) == '\r');
    }
    *lf += add_lanes(lines);
    *crlf += add_lanes(pairs);
}

struct crlf_count crlf_view_count(struct str span) {
    uint64_t lf = 0, crlf = 0;
    size_t i = 0;
    if (span.length > 0) {
        lf = span.data[0] == '\n' ? 1 : 0;
        i = 1;
    }
    while (span.length - i >= LANES) {
        size_t steps = (span.length - i) / LANES;
        if (steps > STEPS_MAX) steps = STEPS_MAX;
        count_block(span.data + i, steps, &lf, &crlf);
        i += steps * LANES;
    }
    for (; i < span.length; i++) {
        if (span.data[i] != '\n') continue;
        lf++;
        if (span.data[i - 1] == '\r') crlf++;
    }
    return (struct crlf_count){.size = span.length + (lf - crlf), .lines = lf};
}

/* ---- finding a place */

#define SEEK_BLOCK 4096

/* Moves the cursor on to offset, or to the end if that comes first. */
static void seek(struct str span, uint64_t offset, struct crlf_cursor *cursor) {
    if (cursor->after_cr && offset > cursor->view) {
        cursor->after_cr = false;
        cursor->view++;
        cursor->file++;
    }
    while (span.length - cursor->file > SEEK_BLOCK) {
        uint64_t size = crlf_view_count(str_slice(span, cursor->file, cursor->file + SEEK_BLOCK)).size;
        bool begins_with_pair =
            cursor->file > 0 && span.data[cursor->file] == '\n' && span.data[cursor->file - 1] == '\r';
        if (begins_with_pair) size--;
        if (cursor->view + size > offset) break;
        cursor->view += size;
        cursor->file += SEEK_BLOCK;
    }
    while (cursor->view < offset && cursor->file < span.length) {
        bool bare = span.data[cursor->file] == '\n' && (cursor->file == 0 || span.data[cursor->file - 1] != '\r');
        if (bare && cursor->view + 1 == offset) {
            cursor->view++;
            cursor->after_cr = true;
            return;
        }
        cursor->view += bare ? 2 : 1;
        cursor->file++;
    }
}

/* ---- writing */

/* Writes up to room octets of the CR LF form at the cursor, and moves it. */
static size_t fill(struct str span, struct crlf_cursor *cursor, char *to, size_t room) {
    size_t filled = 0, at = cursor->file;
    bool after_cr = cursor->after_cr;
    while (filled < room && at < span.length) {
        const char *from = span.data + at;
        size_t left = span.length - at < room - filled ? span.length - at : room - filled;
        const char *lf = after_cr ? from : memchr(from, '\n', left);
        size_t run = lf != NULL ? (size_t)(lf - from) : left;
        memcpy(to + filled, from, run);
        filled += run;
        at += run;
        if (lf == NULL) continue;
        bool bare = !after_cr && (at == 0 || span.data[at - 1] != '\r');
        if (bare && filled < room) {
            to[filled++] = '\r';
            after_cr = true;
        }
        if (filled == room) break;
        to[filled++] = '\n';
        at++;
        after_cr = false;
    }
    cursor->view += filled;
    cursor->file = at;
    cursor->after_cr = after_cr;
    return filled;
}

/* Puts *at onto offset, from the caller's cursor where that helps. */
static void begin_at(struct str span, uint64_t offset, const struct crlf_cursor *known, struct crlf_cursor *at) {
    bool helps = known != NULL && known->view <= offset && known->file <= span.length;
    *at = helps ? *known : (struct crlf_cursor){0};
    seek(span, offset, at);
}

bool crlf_view_write(struct str span, uint64_t offset, uint64_t count, struct crlf_cursor *cursor, crlf_view_sink sink,
                     void *context) {
    char block[16384];
    struct crlf_cursor at;
    begin_at(span, offset, cursor, &at);
    bool good = true;
    while (count > 0 && good) {
        size_t filled = fill(span, &at, block, count < sizeof block ? (size_t)count : sizeof block);
        if (filled == 0) break;
        count -= filled;
        good = sink(context, str_make(block, filled));
    }
    if (cursor != NULL) *cursor = at;
    return good;
}

#define APPEND_BLOCK ((size_t)1024 * 1024)

bool crlf_view_append(struct buf *out, struct str span, uint64_t offset, uint64_t count, struct crlf_cursor *cursor) {
    struct crlf_cursor at;
    bool good = true;
    begin_at(span, offset, cursor, &at);
    while (count > 0 && at.file < span.length) {
        /* At most twice what is left, so that a short span takes little room. */
        size_t room = span.length - at.file > APPEND_BLOCK / 2 ? APPEND_BLOCK : (span.length - at.file) * 2;
        if (count < room) room = (size_t)count;
        if (out->limit > 0 && out->limit - out->length < room) room = out->limit - out->length;
        char *to = room > 0 ? buf_reserve(out, room) : NULL;
        if (to == NULL) {
            good = buf_append_char(out, '\n') && false; /* sets the overflow */
            break;
        }
        size_t filled = fill(span, &at, to, room);
        buf_commit(out, filled);
        count -= filled;
    }
    if (cursor != NULL) *cursor = at;
    return good;
}

bool crlf_view_append_all(struct buf *out, struct str span) {
    return crlf_view_append(out, span, 0, UINT64_MAX, NULL);
}
