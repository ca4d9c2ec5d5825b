/* content_reference: what content.c has to do, octet by octet and line by line,
 * for its unit test and its fuzz target. */
#ifndef TERN_CONTENT_REFERENCE_H
#define TERN_CONTENT_REFERENCE_H

#include "buf.h"

static inline void content_reference_line(struct str line, size_t limit, struct buf *out) {
    bool first = true;
    if (limit == 1) limit = 2;
    while (line.length && line.data[line.length - 1] == '\r') { /* the one before the LF */
        line.length--;
        break;
    }
    size_t column = 0;
    for (size_t i = 0; i < line.length; i++) {
        char octet = line.data[i] == '\r' ? ' ' : line.data[i];
        if (first && octet == '.') buf_append_char(out, '.');
        if (limit && column == limit) {
            buf_append(out, STR("\r\n "));
            column = 1;
        }
        buf_append_char(out, octet);
        column++;
        first = false;
    }
    buf_append(out, STR("\r\n"));
}

static inline void content_reference(struct str text, size_t limit, struct buf *out) {
    struct str line;
    while (str_cut(text, '\n', &line, &text))
        content_reference_line(line, limit, out);
    if (text.length) content_reference_line(text, limit, out);
    buf_append(out, STR(".\r\n"));
}

/* CR and LF only together, one dot alone and at the end, no line over the limit (and its dot). */
static inline bool content_is_clean(struct str wire, size_t limit) {
    size_t line = 0, start = 0;
    if (limit == 1) limit = 2;
    for (size_t i = 0; i < wire.length; i++) {
        bool is_end = wire.data[i] == '\r';
        if (!is_end && wire.data[i] == '\n') return false;
        if (!is_end) {
            line++;
            continue;
        }
        if (i + 1 == wire.length || wire.data[i + 1] != '\n') return false;
        bool dot = line > 0 && wire.data[start] == '.';
        if (line == 1 && dot && i + 2 != wire.length) return false;
        if (limit && line > limit + dot) return false;
        i++;
        start = i + 1;
        line = 0;
    }
    return line == 0 && str_ends(wire, STR(".\r\n"));
}

#endif
