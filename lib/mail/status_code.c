/* status_code: the table of enhanced codes and their text form. */
#include "status_code.h"

static const struct {
    uint8_t subject;
    uint8_t detail;
} codes[STATUS_CODE_COUNT] = {
#define STATUS_CODE_ROW(name, subject, detail, text) {subject, detail},
    STATUS_CODE_TABLE(STATUS_CODE_ROW)
#undef STATUS_CODE_ROW
};

struct status_code status_code_make(unsigned class, enum status_code_name name) {
    return (struct status_code){(uint8_t) class, codes[name].subject, codes[name].detail};
}

bool status_code_append(struct buf *out, struct status_code code) {
    return buf_printf(out, "%u.%u.%u", code.class, code.subject, code.detail);
}

/* Up to three digits from text at *at. */
static bool take_part(struct str text, size_t *at, uint16_t *value) {
    size_t begin = *at;
    unsigned number = 0;
    while (*at < text.length && *at < begin + 3 && ascii_is_digit(text.data[*at])) {
        number = number * 10 + (unsigned)(text.data[(*at)++] - '0');
    }
    *value = (uint16_t)number;
    return *at > begin;
}

/* Octets of a code at the start of text, 0 if none. */
static size_t match(struct str text, struct status_code *code) {
    struct status_code got = {0};
    size_t at = 2;
    if (text.length < 5 || text.data[1] != '.') return 0;
    if (text.data[0] != '2' && text.data[0] != '4' && text.data[0] != '5') return 0;
    got.class = (uint8_t)(text.data[0] - '0');
    if (!take_part(text, &at, &got.subject) || at >= text.length || text.data[at++] != '.') return 0;
    if (!take_part(text, &at, &got.detail)) return 0;
    *code = got;
    return at;
}

bool status_code_parse(struct str text, struct status_code *code) {
    struct status_code got = {0};
    size_t taken = match(text, &got);
    if (taken == 0 || taken != text.length) return false;
    *code = got;
    return true;
}

bool status_code_take(struct str *text, struct status_code *code) {
    struct status_code got = {0};
    size_t taken = match(*text, &got);
    if (taken == 0) return false;
    size_t end = taken;
    while (end < text->length && (text->data[end] == ' ' || text->data[end] == '\t'))
        end++;
    if (end == taken && end < text->length) return false; /* "5.1.1x": no code */
    *code = got;
    *text = str_from_offset(*text, end);
    return true;
}
