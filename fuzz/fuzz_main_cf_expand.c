/* The expansion of $name: the first line is the text, further lines name=value. */
#include "main_cf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lookup(void *context, struct str name, struct str *value, bool *literal) {
    struct str rest = *(const struct str *)context, line = rest;
    (void)literal;
    for (;;) {
        struct str key, text, after = STR_EMPTY;
        bool more = str_cut(rest, '\n', &line, &after);
        if (!more)
            line = rest;
        if (str_cut(line, '=', &key, &text) && str_equal(key, name)) {
            *value = text;
            return true;
        }
        if (!more)
            return false;
        rest = after;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size), values = STR_EMPTY;
    struct main_cf_lookup names = {.lookup = lookup, .context = &values};
    struct buf expanded = buf_make(0);
    struct failure failure = {0};
    str_cut(text, '\n', &text, &values);
    if (!main_cf_expand(text, &names, &expanded, &failure) && (expanded.length > 0 || failure.text[0] == '\0'))
        abort();
    buf_free(&expanded);
    return 0;
}
