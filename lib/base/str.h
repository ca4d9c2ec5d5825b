/* str: a borrowed run of bytes, pointer and length together.
 *
 * A str never owns what it points to: who made it says how long the bytes
 * live (the function's comment, or the arena they came from). The bytes may
 * hold NUL and need not end in one. Comparisons of protocol words are ASCII
 * only and never look at the locale. Nothing here fails or allocates. */
#ifndef TERN_STR_H
#define TERN_STR_H

#include "compiler.h"

struct str {
    const char *data;
    size_t length;
};

/* A str of a string literal; the array length is taken at compile time. */
#define STR(literal) ((struct str){(literal), sizeof(literal "") - 1})
#define STR_EMPTY ((struct str){"", 0})
/* For initialisers of static tables. */
#define STR_INIT(literal) {(literal), sizeof(literal "") - 1}
/* printf: "%.*s" with STR_ARGS(s). Lengths over INT_MAX are cut. */
#define STR_ARGS(s) str_printf_length(s), (s).data

static inline int str_printf_length(struct str s) {
    return s.length > 0x7fffffff ? 0x7fffffff : (int)s.length;
}

static inline struct str str_make(const char *data, size_t length) {
    return (struct str){data, length};
}

/* The str of a NUL-terminated string; NULL gives the empty str. */
struct str str_from(const char *text);

bool str_equal(struct str a, struct str b);
/* Equal but for the case of ASCII letters. */
bool str_equal_nocase(struct str a, struct str b);
/* Byte order; shorter first. Returns <0, 0, >0 as memcmp does. */
int str_compare(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_ends_nocase(struct str s, struct str suffix);

#define STR_NONE ((size_t)-1)
/* Offset of the first, the last, or of a substring; STR_NONE if absent. */
size_t str_find(struct str s, char c);
size_t str_find_last(struct str s, char c);
size_t str_find_str(struct str s, struct str needle);

/* Bytes [from, to), both cut to the length. */
static inline struct str str_slice(struct str s, size_t from, size_t to) {
    if (to > s.length) to = s.length;
    if (from > to) from = to;
    /* Nothing is added to a NULL pointer, not even 0. */
    return from ? str_make(s.data + from, to - from) : str_make(s.data, to);
}
/* From an offset to the end. */
static inline struct str str_from_offset(struct str s, size_t from) {
    return str_slice(s, from, s.length);
}
/* Without leading and trailing space, tab, CR and LF. */
struct str str_trim(struct str s);

/* Cuts at the first separator: *before gets what stands before it, *after
 * what follows. False (and both untouched) if it does not occur. */
bool str_cut(struct str s, char separator, struct str *before, struct str *after);

/* Takes the next word from *rest, where any byte of separators parts words and
 * runs of them count once. False at the end. */
bool str_next_word(struct str *rest, const char *separators, struct str *word);

/* Decimal digits only, the whole str, at most maximum. False otherwise, with
 * *value untouched. This is the one way in which tern reads numbers. */
MUST_USE bool str_to_u64(struct str s, uint64_t maximum, uint64_t *value);
/* The same with an optional minus sign, within [minimum, maximum]. */
MUST_USE bool str_to_i64(struct str s, int64_t minimum, int64_t maximum, int64_t *value);

/* True if every byte is printable ASCII or space. */
bool str_is_printable(struct str s);
/* True if no byte has the high bit set. */
bool str_is_ascii(struct str s);
/* True if the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no
 * overlong forms, at most U+10FFFF). */
bool str_is_utf8(struct str s);

/* ASCII case and classes; no locale. */
static inline char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static inline char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }
static inline bool ascii_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool ascii_is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline bool ascii_is_alnum(char c) { return ascii_is_alpha(c) || ascii_is_digit(c); }
static inline bool ascii_is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

#endif
