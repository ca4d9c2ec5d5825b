/* str: comparing, searching, cutting and reading borrowed bytes. */
#include "str.h"

/* A str of length 0 may have a NULL pointer, which the mem* functions may not get. */
static bool same_bytes(const char *a, const char *b, size_t length) {
    return length == 0 || memcmp(a, b, length) == 0;
}

static bool same_bytes_nocase(const char *a, const char *b, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
    }
    return true;
}

struct str str_from(const char *text) {
    return text ? str_make(text, strlen(text)) : STR_EMPTY;
}

bool str_equal(struct str a, struct str b) {
    return a.length == b.length && same_bytes(a.data, b.data, a.length);
}

bool str_equal_nocase(struct str a, struct str b) {
    return a.length == b.length && same_bytes_nocase(a.data, b.data, a.length);
}

int str_compare(struct str a, struct str b) {
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) return order;
    return (a.length > b.length) - (a.length < b.length);
}

bool str_starts(struct str s, struct str prefix) {
    return s.length >= prefix.length && same_bytes(s.data, prefix.data, prefix.length);
}

bool str_starts_nocase(struct str s, struct str prefix) {
    return s.length >= prefix.length && same_bytes_nocase(s.data, prefix.data, prefix.length);
}

bool str_ends(struct str s, struct str suffix) {
    return s.length >= suffix.length && str_equal(str_from_offset(s, s.length - suffix.length), suffix);
}

bool str_ends_nocase(struct str s, struct str suffix) {
    return s.length >= suffix.length && str_equal_nocase(str_from_offset(s, s.length - suffix.length), suffix);
}

size_t str_find(struct str s, char c) {
    const char *found = s.length ? memchr(s.data, c, s.length) : NULL;
    return found ? (size_t)(found - s.data) : STR_NONE;
}

size_t str_find_last(struct str s, char c) {
    const char *found = s.length ? memrchr(s.data, c, s.length) : NULL;
    return found ? (size_t)(found - s.data) : STR_NONE;
}

size_t str_find_str(struct str s, struct str needle) {
    if (needle.length == 0) return 0;
    if (s.length < needle.length) return STR_NONE;
    const char *found = memmem(s.data, s.length, needle.data, needle.length);
    return found ? (size_t)(found - s.data) : STR_NONE;
}

struct str str_trim(struct str s) {
    size_t from = 0;
    size_t to = s.length;
    while (from < to && ascii_is_space(s.data[from]))
        from++;
    while (to > from && ascii_is_space(s.data[to - 1]))
        to--;
    return str_slice(s, from, to);
}

bool str_cut(struct str s, char separator, struct str *before, struct str *after) {
    size_t at = str_find(s, separator);
    if (at == STR_NONE) return false;
    *before = str_slice(s, 0, at);
    *after = str_from_offset(s, at + 1);
    return true;
}

bool str_next_word(struct str *rest, const char *separators, struct str *word) {
    struct str parts = str_from(separators);
    size_t from = 0;
    while (from < rest->length && str_find(parts, rest->data[from]) != STR_NONE)
        from++;
    if (from == rest->length) return false;
    size_t to = from;
    while (to < rest->length && str_find(parts, rest->data[to]) == STR_NONE)
        to++;
    struct str whole = *rest;
    *word = str_slice(whole, from, to);
    *rest = str_from_offset(whole, to);
    return true;
}

bool str_to_u64(struct str s, uint64_t maximum, uint64_t *value) {
    if (s.length == 0) return false;
    uint64_t number = 0;
    for (size_t i = 0; i < s.length; i++) {
        if (!ascii_is_digit(s.data[i])) return false;
        uint64_t digit = (uint64_t)(s.data[i] - '0');
        if (__builtin_mul_overflow(number, UINT64_C(10), &number) || __builtin_add_overflow(number, digit, &number))
            return false;
    }
    if (number > maximum) return false;
    *value = number;
    return true;
}

bool str_to_i64(struct str s, int64_t minimum, int64_t maximum, int64_t *value) {
    bool negative = s.length > 0 && s.data[0] == '-';
    uint64_t magnitude;
    if (!str_to_u64(negative ? str_from_offset(s, 1) : s, (uint64_t)INT64_MAX + (negative ? 1 : 0), &magnitude))
        return false;
    int64_t number;
    if (!negative)
        number = (int64_t)magnitude;
    else if (magnitude == 0)
        number = 0;
    else
        number = -(int64_t)(magnitude - 1) - 1; /* INT64_MIN has no positive counterpart */
    if (number < minimum || number > maximum) return false;
    *value = number;
    return true;
}

bool str_is_printable(struct str s) {
    for (size_t i = 0; i < s.length; i++) {
        if (s.data[i] < ' ' || s.data[i] > '~') return false;
    }
    return true;
}

/* Eight octets at a time. */
bool str_is_ascii(struct str s) {
    size_t i = 0;
    for (uint64_t word; s.length - i >= sizeof word; i += sizeof word) {
        memcpy(&word, s.data + i, sizeof word);
        if (word & UINT64_C(0x8080808080808080)) return false;
    }
    for (; i < s.length; i++) {
        if ((unsigned char)s.data[i] >= 0x80) return false;
    }
    return true;
}

/* The length of the well-formed sequence that s starts with (RFC 3629 section 4), 0 if there is none.
 * Only the second byte's range depends on the first: that is where overlong forms, surrogates and
 * code points over U+10FFFF are told from the rest. */
static size_t utf8_sequence(const unsigned char *s, size_t left) {
    unsigned char first = s[0];
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < length) return 0;
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    return length;
}

bool str_is_utf8(struct str s) {
    const unsigned char *bytes = (const unsigned char *)s.data;
    for (size_t i = 0; i < s.length;) {
        size_t length = utf8_sequence(bytes + i, s.length - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}
