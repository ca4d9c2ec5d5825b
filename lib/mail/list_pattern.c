/* list_pattern: all places where the match may stand, as bits that move together.
 *
 * Place i is before the pattern's ith octet that is no wildcard. An octet of the
 * name moves a place on if it is that octet; a place stays where a wildcard
 * stands before it. */
#include "list_pattern.h"
#include "memory.h"

#define WORDS (LIST_PATTERN_MAX / 64 + 1)

struct list_pattern {
    char delimiter;
    bool nocase;
    size_t literals;
    size_t words; /* in use */
    uint64_t star[WORDS];
    uint64_t percent[WORDS];
    uint64_t match[256][WORDS];
};

static void set_bit(uint64_t *bits, size_t at) {
    bits[at / 64] |= UINT64_C(1) << (at % 64);
}

static bool has_bit(const uint64_t *bits, size_t at) {
    return bits[at / 64] >> (at % 64) & 1;
}

struct list_pattern *list_pattern_create(struct str text, char delimiter, bool nocase) {
    struct list_pattern *pattern = MEMORY_NEW(struct list_pattern);
    pattern->delimiter = delimiter;
    pattern->nocase = nocase;
    for (size_t i = 0; i < text.length && pattern != NULL; i++) {
        char c = nocase ? ascii_lower(text.data[i]) : text.data[i];
        if (c == '*') {
            set_bit(pattern->star, pattern->literals);
        } else if (c == '%') {
            set_bit(pattern->percent, pattern->literals);
        } else if (pattern->literals == LIST_PATTERN_MAX) {
            MEMORY_FREE(pattern);
        } else {
            set_bit(pattern->match[(unsigned char)c], pattern->literals++);
        }
    }
    if (pattern != NULL) pattern->words = pattern->literals / 64 + 1;
    return pattern;
}

void list_pattern_free(struct list_pattern **pattern) {
    MEMORY_FREE(*pattern);
}

/* Moves the places over one octet; false if none is left. */
static bool step(const struct list_pattern *pattern, uint64_t *places, char c) {
    const uint64_t *match = pattern->match[(unsigned char)(pattern->nocase ? ascii_lower(c) : c)];
    bool is_delimiter = pattern->delimiter != '\0' && c == pattern->delimiter;
    uint64_t carried = 0, any = 0;
    for (size_t i = 0; i < pattern->words; i++) {
        uint64_t moved = places[i] & match[i];
        uint64_t stay = pattern->star[i] | (is_delimiter ? 0 : pattern->percent[i]);
        places[i] = moved << 1 | carried | (places[i] & stay);
        carried = moved >> 63;
        any |= places[i];
    }
    return any != 0;
}

unsigned list_pattern_match(const struct list_pattern *pattern, struct str name) {
    uint64_t places[WORDS] = {1};
    for (size_t i = 0; i < name.length; i++) {
        if (!step(pattern, places, name.data[i])) return LIST_MATCH_NONE;
    }
    unsigned result = has_bit(places, pattern->literals) ? LIST_MATCH_NAME : LIST_MATCH_NONE;
    bool children = pattern->delimiter != '\0' && step(pattern, places, pattern->delimiter);
    if (!children) return result;
    /* A match that is complete with the delimiter itself needs a wildcard more to have a name beneath. */
    uint64_t last = UINT64_C(1) << (pattern->literals % 64);
    bool open = has_bit(pattern->star, pattern->literals) || has_bit(pattern->percent, pattern->literals);
    if (!open) places[pattern->literals / 64] &= ~last;
    for (size_t i = 0; i < pattern->words; i++) {
        if (places[i] != 0) return result | LIST_MATCH_CHILDREN;
    }
    return result;
}
