/* Elements of parameter values, with { } kept together. */
#include "table_words.h"

static bool is_separator(char c) { return c == ',' || ascii_is_space(c); }

enum table_word table_word_next(struct str *rest, struct str *word) {
    size_t start = 0;
    while (start < rest->length && is_separator(rest->data[start])) start++;
    if (start == rest->length) {
        *rest = STR_EMPTY;
        return TABLE_WORD_END;
    }
    size_t end = start;
    size_t depth = 0;
    for (; end < rest->length; end++) {
        char c = rest->data[end];
        if (depth == 0 && is_separator(c)) break;
        if (c == '{') depth++;
        if (c == '}') {
            if (depth == 0) return TABLE_WORD_UNBALANCED;
            depth--;
        }
    }
    if (depth > 0) return TABLE_WORD_UNBALANCED;
    *word = str_slice(*rest, start, end);
    *rest = str_from_offset(*rest, end);
    return TABLE_WORD;
}

bool table_word_unbrace(struct str text, struct str *inside) {
    text = str_trim(text);
    if (text.length < 2 || text.data[0] != '{') return false;
    size_t depth = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '{') depth++;
        if (text.data[i] == '}' && --depth == 0) {
            if (i + 1 != text.length) return false;
            *inside = str_trim(str_slice(text, 1, i));
            return true;
        }
    }
    return false;
}
