/* inline: entries written in the parameter, inline:{ key=value, { key = text } }. */
#include "entry_map.h"
#include "table_types.h"
#include "table_words.h"

static bool add_word(struct entry_map *entries, struct str word, bool fold, struct failure *failure) {
    struct str key;
    struct str value;
    (void)table_word_unbrace(word, &word);
    if (!str_cut(word, '=', &key, &value) || str_trim(key).length == 0)
        return failure_set(failure, "\"%.*s\" is not of the form key=value", STR_ARGS(word));
    key = str_trim(key);
    if (entry_map_add(entries, key, str_trim(value), fold)) return true;
    return failure_set(failure, "duplicate entry: \"%.*s\"", STR_ARGS(key));
}

static bool fill(struct entry_map *entries, const struct table_request *request, struct failure *failure) {
    struct str rest;
    if (!table_word_unbrace(request->name, &rest)) return failure_set(failure, "expected { key=value, ... }");
    for (;;) {
        struct str word;
        enum table_word taken = table_word_next(&rest, &word);
        if (taken == TABLE_WORD_END) return true;
        if (taken == TABLE_WORD_UNBALANCED) return failure_set(failure, "braces are not balanced");
        if (!add_word(entries, word, (request->flags & TABLE_FOLD) != 0, failure)) return false;
    }
}

bool table_inline_open(const struct table_request *request, const struct table_methods **methods, void **state,
                       struct failure *failure) {
    static const struct table_methods inline_methods = {
        .lookup = entry_map_lookup, .close = entry_map_close, .each = entry_map_each, .fixed_keys = true};
    struct entry_map *entries = entry_map_create();
    if (!fill(entries, request, failure)) {
        entry_map_close(entries);
        return false;
    }
    *state = entries;
    *methods = &inline_methods;
    return true;
}
