/* log_text: replaces what must not reach a log line. */
#include "log_text.h"
#include "utf8.h"

/* Bidirectional embeddings, overrides and isolates reorder what a terminal shows. */
static bool reorders(uint32_t c) {
    return c == 0x200e || c == 0x200f || c == 0x61c || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Octets of the next character; *safe says whether it may stand as it is. */
static size_t next_character(struct str text, bool *safe) {
    uint32_t c = 0;
    size_t taken = utf8_decode(text, &c);
    *safe = taken > 0 && !utf8_is_control(c) && !reorders(c);
    return taken > 0 ? taken : 1;
}

bool log_text_append(struct buf *out, struct str text, size_t maximum) {
    size_t used = 0, run = 0; /* run: where the safe bytes not yet appended begin */
    bool cut = false;
    while (used < text.length) {
        bool safe = false;
        size_t taken = next_character(str_from_offset(text, used), &safe);
        if (maximum > 0 && used + taken > maximum) {
            cut = true;
            break;
        }
        if (!safe) {
            buf_append(out, str_slice(text, run, used));
            buf_append_char(out, '?');
            run = used + taken;
        }
        used += taken;
    }
    buf_append(out, str_slice(text, run, used));
    if (cut) buf_append(out, STR("..."));
    return !buf_overflowed(out);
}

const char *log_text(char *array, size_t size, struct str text) {
    if (size == 0) return "";
    size_t used = 0, filled = 0;
    while (used < text.length) {
        bool safe = false;
        size_t taken = next_character(str_from_offset(text, used), &safe);
        size_t needed = safe ? taken : 1;
        if (filled + needed >= size) {
            for (size_t i = filled; i < size - 1; i++)
                array[i] = '.';
            filled = size - 1;
            /* Whole characters only: step back over a sequence before the dots are put in. */
            size_t mark = size - 1 > 3 ? size - 4 : 0;
            while (mark > 0 && ((unsigned char)array[mark] & 0xc0) == 0x80)
                mark--;
            for (size_t i = mark; i < filled; i++)
                array[i] = '.';
            break;
        }
        if (safe) {
            memcpy(array + filled, text.data + used, taken);
        } else {
            array[filled] = '?';
        }
        filled += needed;
        used += taken;
    }
    array[filled] = '\0';
    return array;
}
