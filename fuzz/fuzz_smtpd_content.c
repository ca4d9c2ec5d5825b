/* Fuzz target: the content's line scanner and header reader together. The bytes are
 * taken whole and again one by one: both must give the same, and neither may end the
 * data but after CR LF . CR LF. */
#include "content_header.h"
#include "content_scan.h"
#include "buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct buf stored;
    size_t used;
    enum content_event event;
    unsigned hops;
};

static void take_text(struct content_header *header, struct str text, struct buf *stored) {
    struct str rest;
    if (header->place == HEADER_IN_BODY) {
        buf_append(stored, text);
    } else if (content_header_text(header, text, stored, &rest)) {
        buf_append(stored, content_header_withheld(header));
        buf_append(stored, rest);
    }
}

static void take_line_end(struct content_header *header, struct buf *stored) {
    if (header->place == HEADER_IN_BODY)
        buf_append_char(stored, '\n');
    else if (content_header_line_end(header, stored))
        buf_append(stored, content_header_withheld(header));
}

static struct outcome take(struct str input, size_t step, bool dots, bool strict) {
    struct content_scan scan;
    struct content_header header;
    struct outcome outcome = {.event = CONTENT_SCAN_MORE};
    content_scan_begin(&scan, dots, strict);
    content_header_begin(&header, STR("bcc, return-path"), 50);
    while (outcome.used < input.length && outcome.event == CONTENT_SCAN_MORE) {
        struct str piece = str_slice(input, outcome.used, outcome.used + step), left = piece, text;
        do {
            outcome.event = content_scan_next(&scan, &left, &text);
            if (outcome.event == CONTENT_SCAN_TEXT) take_text(&header, text, &outcome.stored);
            if (outcome.event == CONTENT_SCAN_LINE_END) take_line_end(&header, &outcome.stored);
        } while (outcome.event == CONTENT_SCAN_TEXT || outcome.event == CONTENT_SCAN_LINE_END);
        outcome.used += piece.length - left.length;
    }
    outcome.hops = header.hops;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    bool dots = data[0] & 1, strict = data[0] & 2;
    struct str input = str_make((const char *)data + 1, size - 1);
    struct outcome whole = take(input, SIZE_MAX, dots, strict), bytes = take(input, 1, dots, strict);
    if (!str_equal(buf_str(&whole.stored), buf_str(&bytes.stored)) || whole.event != bytes.event ||
        whole.used != bytes.used || whole.hops != bytes.hops)
        __builtin_trap();
    if (whole.event == CONTENT_SCAN_DATA_END) {
        struct str taken = str_slice(input, 0, whole.used);
        bool at_start = str_equal(taken, STR(".\r\n"));
        if (!dots || (!at_start && !str_ends(taken, STR("\r\n.\r\n")))) __builtin_trap();
    } else if (dots && str_find_str(str_slice(input, 0, whole.used), STR("\r\n.\r\n")) != STR_NONE) {
        __builtin_trap();
    }
    buf_free(&whole.stored);
    buf_free(&bytes.stored);
    return 0;
}
