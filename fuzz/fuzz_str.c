/* Fuzz target: what str finds, cuts and reads must agree with slow and plain ways of doing the same. */
#include "buf.h"
#include "memory.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void numbers(struct str s) {
    uint64_t number = 0;
    int64_t with_sign = 0;
    struct buf text = buf_make(0);
    if (str_to_u64(s, UINT64_MAX, &number)) {
        check(buf_append_u64(&text, number));
        /* The digits come back, but for leading zeros. */
        check(str_ends(s, buf_str(&text)));
        uint64_t again;
        check(!number || !str_to_u64(s, number - 1, &again));
        check(str_to_i64(s, INT64_MIN, INT64_MAX, &with_sign) == (number <= INT64_MAX));
    }
    buf_clear(&text);
    if (str_to_i64(s, INT64_MIN, INT64_MAX, &with_sign)) {
        int64_t again = 0;
        check(buf_printf(&text, "%lld", (long long)with_sign));
        check(str_to_i64(buf_str(&text), with_sign, with_sign, &again) && again == with_sign);
    }
    buf_free(&text);
}

/* Code points rather than byte ranges: another way to RFC 3629 than str_is_utf8 takes. */
static bool plain_utf8(struct str s) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < s.length;) {
        uint32_t first = (unsigned char)s.data[i];
        size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
        if (length == 0 || length > s.length - i) return false;
        uint32_t point = length == 1 ? first : first & (0x7fU >> length);
        for (size_t n = 1; n < length; n++) {
            uint32_t byte = (unsigned char)s.data[i + n];
            if (byte >> 6 != 2) return false;
            point = point << 6 | (byte & 0x3f);
        }
        if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
        i += length;
    }
    return true;
}

static void words(struct str s) {
    struct str rest = s;
    struct str word = STR_EMPTY;
    size_t total = 0;
    while (str_next_word(&rest, " ,;", &word)) {
        check(word.length > 0 && str_find(word, ' ') == STR_NONE && str_find(word, ',') == STR_NONE);
        total += word.length;
    }
    size_t plain = 0;
    for (size_t i = 0; i < s.length; i++)
        plain += s.data[i] != ' ' && s.data[i] != ',' && s.data[i] != ';';
    check(total == plain);
}

static void pieces(struct str s) {
    struct str before = STR_EMPTY;
    struct str after = STR_EMPTY;
    if (str_cut(s, ':', &before, &after)) {
        check(before.length + 1 + after.length == s.length && str_find(s, ':') == before.length);
        check(str_starts_nocase(s, before) && str_ends_nocase(s, after));
        size_t at = str_find_str(after, before);
        check(at == STR_NONE || str_starts(str_from_offset(after, at), before));
        check((str_compare(before, after) == 0) == str_equal(before, after));
        struct buf joined = buf_make(s.length);
        check(buf_append(&joined, after) && buf_insert(&joined, 0, STR(":")) && buf_insert(&joined, 0, before));
        check(str_equal(buf_str(&joined), s) && !buf_append_char(&joined, 'x') && buf_overflowed(&joined));
        buf_remove(&joined, 0, before.length + 1);
        check(str_equal(buf_str(&joined), after));
        buf_free(&joined);
    }
    struct str trimmed = str_trim(s);
    check(trimmed.length <= s.length && str_equal(str_trim(trimmed), trimmed));
    size_t last = str_find_last(s, ':');
    check((last == STR_NONE) == (str_find(s, ':') == STR_NONE));
    check(last == STR_NONE || str_find(str_from_offset(s, last + 1), ':') == STR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str s = str_make((const char *)data, size);
    numbers(s);
    words(s);
    pieces(s);
    check(str_is_utf8(s) == plain_utf8(s));
    check(!str_is_ascii(s) || str_is_utf8(s));
    check(!str_is_printable(s) || str_is_ascii(s));
    return 0;
}
