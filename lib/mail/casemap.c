/* casemap: folding, and searching in what is folded. */
#include "casemap.h"
#include "utf8.h"
#include <unicase.h>
#include <uninorm.h>

/* ---- folding */

#define FOLDS_MAX 64 /* characters that one may become, on the way too; Unicode's longest is 18 */

/* UnicodeData.txt has no decompositions for Hangul syllables, and so RFC 5051 has none. */
static bool is_hangul(uint32_t c) {
    return c >= 0xac00 && c <= 0xd7a3;
}

/* Appends the character's folded form: titlecase and decomposition in turn, for each that comes of it. */
static void append_folded(struct buf *out, uint32_t c) {
    ucs4_t waiting[FOLDS_MAX]; /* the next is the last */
    size_t count = 1;
    waiting[0] = c;
    while (count > 0) {
        ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
        int tag = 0;
        ucs4_t title = uc_totitle(waiting[--count]);
        int length = is_hangul(title) ? -1 : uc_decomposition(title, &tag, parts);
        if (length < 0 || (size_t)length > FOLDS_MAX - count) {
            utf8_append(out, title);
            continue;
        }
        for (int i = length; i > 0; i--)
            waiting[count++] = parts[i - 1];
    }
}

/* Length of the run without high bits at the start of text. */
static size_t ascii_length(struct str text) {
    size_t i = 0;
    for (uint64_t word; text.length - i >= sizeof word; i += sizeof word) {
        memcpy(&word, text.data + i, sizeof word);
        if (word & UINT64_C(0x8080808080808080)) break;
    }
    while (i < text.length && (unsigned char)text.data[i] < 0x80)
        i++;
    return i;
}

/* Eight letters at once: 0x20 is taken off where an octet lies between 'a' and 'z'. */
static uint64_t upper_word(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t from_a = word + ones * (0x80 - 'a'), past_z = word + ones * (0x80 - 'z' - 1);
    uint64_t letters = from_a & ~past_z & (ones * 0x80);
    return word - (letters >> 2);
}

static void append_ascii(struct buf *out, struct str text) {
    char *to = text.length > 0 ? buf_reserve(out, text.length) : NULL;
    if (to == NULL) return;
    size_t i = 0;
    for (uint64_t word; text.length - i >= sizeof word; i += sizeof word) {
        memcpy(&word, text.data + i, sizeof word);
        word = upper_word(word);
        memcpy(to + i, &word, sizeof word);
    }
    for (; i < text.length; i++)
        to[i] = ascii_upper(text.data[i]);
    buf_commit(out, text.length);
}

bool casemap_append(struct buf *out, struct str text) {
    while (text.length > 0 && !buf_overflowed(out)) {
        size_t plain = ascii_length(text);
        append_ascii(out, str_slice(text, 0, plain));
        text = str_from_offset(text, plain);
        if (text.length == 0) break;
        uint32_t c = 0;
        size_t taken = utf8_decode(text, &c);
        if (taken > 0) {
            append_folded(out, c);
        } else {
            buf_append_char(out, text.data[0]);
            taken = 1;
        }
        text = str_from_offset(text, taken);
    }
    return !buf_overflowed(out);
}

bool casemap_equal(struct str a, struct str b) {
    struct buf folded_a = {0}, folded_b = {0};
    casemap_append(&folded_a, a);
    casemap_append(&folded_b, b);
    bool equal = str_equal(buf_str(&folded_a), buf_str(&folded_b));
    buf_free(&folded_a);
    buf_free(&folded_b);
    return equal;
}

/* ---- searching */

void casemap_search_begin(struct casemap_search *search, struct str key) {
    *search = (struct casemap_search){.cut_length = 0};
    casemap_append(&search->key, key);
}

void casemap_search_restart(struct casemap_search *search) {
    buf_clear(&search->window);
    search->cut_length = 0;
}

void casemap_search_free(struct casemap_search *search) {
    buf_free(&search->key);
    buf_free(&search->window);
}

/* Octets at the end of block that begin a character and do not end it. */
static size_t cut_at_end(struct str block) {
    for (size_t back = 1; back <= 3 && back <= block.length; back++) {
        unsigned char c = (unsigned char)block.data[block.length - back];
        if ((c & 0xc0) == 0x80) continue;
        size_t wanted = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        return wanted > back ? back : 0;
    }
    return 0;
}

/* Puts the character that the last block was cut in into the window, with the first octets of *block. */
static void complete_cut(struct casemap_search *search, struct str *block) {
    char whole[8];
    size_t length = search->cut_length, more = 0;
    memcpy(whole, search->cut, length);
    while (more < block->length && length < sizeof search->cut && ((unsigned char)block->data[more] & 0xc0) == 0x80)
        whole[length++] = block->data[more++];
    *block = str_from_offset(*block, more);
    search->cut_length = 0;
    struct str text = str_make(whole, length);
    size_t cut = block->length == 0 ? cut_at_end(text) : 0;
    memcpy(search->cut, text.data + text.length - cut, cut);
    search->cut_length = cut;
    casemap_append(&search->window, str_slice(text, 0, text.length - cut));
}

bool casemap_search_next(struct casemap_search *search, struct str block) {
    struct str key = buf_str(&search->key);
    if (key.length == 0) return true;
    /* What is left of the text before: less than a key. */
    if (search->window.length >= key.length) buf_remove(&search->window, 0, search->window.length - key.length + 1);
    if (search->cut_length > 0 && block.length > 0) complete_cut(search, &block);
    size_t cut = cut_at_end(block);
    if (search->cut_length == 0 && cut > 0) {
        memcpy(search->cut, block.data + block.length - cut, cut);
        search->cut_length = cut;
        block.length -= cut;
    }
    casemap_append(&search->window, block);
    return str_find_str(buf_str(&search->window), key) != STR_NONE;
}

void casemap_append_searched(struct buf *out, struct str text) {
    text.length -= cut_at_end(text);
    casemap_append(out, text);
}

bool casemap_contains(struct casemap_search *search, struct str text) {
    casemap_search_restart(search);
    return casemap_search_next(search, text);
}
