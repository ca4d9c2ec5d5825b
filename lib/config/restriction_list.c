/* restriction_list: see restriction_list.h. */
#include "restriction_list.h"

static bool is_separator(char c) {
    return c == ',' || ascii_is_space(c);
}

/* The next word; braces hold one together. False at the end, or with *unbalanced set. */
static bool next_word(struct str *rest, struct str *word, bool *unbalanced) {
    size_t begin = 0, depth = 0;
    while (begin < rest->length && is_separator(rest->data[begin]))
        begin++;
    size_t end = begin;
    for (; end < rest->length; end++) {
        char c = rest->data[end];
        if (c == '{') depth++;
        if (c == '}' && depth-- == 0) break;
        if (depth == 0 && is_separator(c)) break;
    }
    *unbalanced = depth != 0;
    if (*unbalanced || end == begin) return false;
    *word = str_slice(*rest, begin, end);
    *rest = str_from_offset(*rest, end);
    return true;
}

/* "type:name", as old main.cf files have it without check_..._access before it. */
static bool is_table(struct str word) {
    size_t colon = str_find(word, ':');
    return colon != STR_NONE && colon > 0 && colon + 1 < word.length;
}

static bool add(struct restriction_list *list, struct arena *arena, struct restriction_item item) {
    size_t count = list->count;
    if (count == RESTRICTION_LIST_MAX) return false;
    if ((count & (count - 1)) == 0) { /* room doubles at powers of two */
        struct restriction_item *grown = arena_allocate(arena, count ? count * 2 : 1, sizeof *grown);
        if (!grown) return false;
        if (count) memcpy(grown, list->items, count * sizeof *grown);
        list->items = grown;
    }
    list->items[list->count++] = item;
    return true;
}

bool restriction_list_parse(struct str text, struct str table_word, struct arena *arena,
                            struct restriction_list *list) {
    struct restriction_list found = {NULL, 0};
    struct str word;
    bool unbalanced = false, warn = false;
    while (next_word(&text, &word, &unbalanced)) {
        if (str_equal_nocase(word, STR("warn_if_reject"))) {
            warn = true;
            continue;
        }
        struct restriction_item item = {
            .restriction = restriction_find(word), .name = word, .argument = STR_EMPTY, .warn_only = warn};
        if (!item.restriction && is_table(word) && table_word.length > 0) {
            item.argument = word;
            item.name = table_word;
            item.restriction = restriction_find(table_word);
        } else if (item.restriction && item.restriction->takes_argument &&
                   !next_word(&text, &item.argument, &unbalanced)) {
            return false;
        }
        if (!add(&found, arena, item)) return false;
        warn = false;
    }
    if (unbalanced || text.length > 0) {
        for (size_t i = 0; i < text.length; i++)
            if (!is_separator(text.data[i])) return false;
    }
    *list = found;
    return true;
}
