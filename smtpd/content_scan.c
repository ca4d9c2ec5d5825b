/* content_scan: lines and the end of data. See content_scan.h. */
#include "content_scan.h"

void content_scan_begin(struct content_scan *scan, bool dots, bool strict) {
    *scan = (struct content_scan){.state = SCAN_LINE_START, .dots = dots, .strict = strict, .after_crlf = true};
}

static void take(struct str *input, size_t length) {
    *input = str_from_offset(*input, length);
}

static enum content_event end_line(struct content_scan *scan, bool crlf) {
    scan->state = SCAN_LINE_START;
    scan->after_crlf = crlf;
    return CONTENT_SCAN_LINE_END;
}

static enum content_event give(struct content_scan *scan, struct str piece, struct str *text) {
    scan->state = SCAN_TEXT;
    *text = piece;
    return CONTENT_SCAN_TEXT;
}

/* Bytes up to the next CR or LF are text. */
static enum content_event in_text(struct content_scan *scan, struct str *input, struct str *text) {
    const char *lf = memchr(input->data, '\n', input->length);
    size_t limit = lf ? (size_t)(lf - input->data) : input->length;
    const char *cr = limit ? memchr(input->data, '\r', limit) : NULL;
    size_t length = cr ? (size_t)(cr - input->data) : limit;
    if (length > 0) {
        struct str piece = str_slice(*input, 0, length);
        take(input, length);
        return give(scan, piece, text);
    }
    take(input, 1);
    if (cr) {
        scan->state = SCAN_CR;
        return content_scan_next(scan, input, text);
    }
    return scan->strict ? CONTENT_SCAN_BARE_LF : end_line(scan, false);
}

/* After a CR within a line: the byte is looked at, and taken only if it is LF. */
static enum content_event after_cr(struct content_scan *scan, struct str *input, struct str *text) {
    if (input->data[0] == '\n') {
        take(input, 1);
        return end_line(scan, true);
    }
    if (scan->strict) return CONTENT_SCAN_BARE_CR;
    return give(scan, STR(" "), text);
}

/* A dot at the line's start was taken off. */
static enum content_event after_dot(struct content_scan *scan, struct str *input, struct str *text) {
    if (input->data[0] == '\r') {
        take(input, 1);
        scan->state = SCAN_DOT_CR;
        return content_scan_next(scan, input, text);
    }
    /* "." and a bare LF: no end of data, so the dot is content. */
    if (input->data[0] == '\n' && !scan->strict) return give(scan, STR("."), text);
    scan->state = SCAN_TEXT;
    return content_scan_next(scan, input, text);
}

/* After CR LF . CR */
static enum content_event after_dot_cr(struct content_scan *scan, struct str *input, struct str *text) {
    if (input->data[0] == '\n' && scan->after_crlf) {
        take(input, 1);
        return CONTENT_SCAN_DATA_END;
    }
    if (input->data[0] == '\n') { /* the dot stands after a bare LF: a line with a dot */
        scan->state = SCAN_CR;
        *text = STR(".");
        return CONTENT_SCAN_TEXT;
    }
    if (scan->strict) return CONTENT_SCAN_BARE_CR;
    return give(scan, STR(" "), text);
}

enum content_event content_scan_next(struct content_scan *scan, struct str *input, struct str *text) {
    if (input->length == 0) return CONTENT_SCAN_MORE;
    switch (scan->state) {
    case SCAN_LINE_START:
        if (!scan->dots || input->data[0] != '.') return in_text(scan, input, text);
        take(input, 1);
        scan->state = SCAN_DOT;
        return content_scan_next(scan, input, text);
    case SCAN_DOT:
        return after_dot(scan, input, text);
    case SCAN_DOT_CR:
        return after_dot_cr(scan, input, text);
    case SCAN_TEXT:
        return in_text(scan, input, text);
    case SCAN_CR:
        return after_cr(scan, input, text);
    }
    return CONTENT_SCAN_MORE;
}

bool content_scan_finish(const struct content_scan *scan, bool *bare_cr) {
    *bare_cr = scan->state == SCAN_CR;
    return scan->state != SCAN_LINE_START;
}
