/* Fuzz target: mailbox names come back from modified UTF-7; list patterns match what a plain search does. The first
 * line is a pattern, the rest a name. */
#include "list_pattern.h"
#include "memory.h"
#include "mutf7.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

/* By rows of a table: reach[i] says that the pattern's first i octets match the name so far. */
static bool plain_match(struct str pattern, struct str name) {
    bool *reach = memory_allocate(pattern.length + 1, sizeof *reach);
    reach[0] = true;
    for (size_t i = 0; i < pattern.length && (pattern.data[i] == '*' || pattern.data[i] == '%'); i++)
        reach[i + 1] = true;
    for (size_t n = 0; n < name.length; n++) {
        bool diagonal = reach[0];
        reach[0] = false;
        for (size_t i = 0; i < pattern.length; i++) {
            bool above = reach[i + 1];
            char c = pattern.data[i];
            if (c == '*' || c == '%') {
                reach[i + 1] = reach[i] || ((c == '*' || name.data[n] != '/') && above);
            } else {
                reach[i + 1] = diagonal && c == name.data[n];
            }
            diagonal = above;
        }
    }
    bool result = reach[pattern.length];
    MEMORY_FREE(reach);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size), first = text, name = STR_EMPTY;
    struct buf out = {0}, back = {0};
    if (mutf7_decode(&out, text)) {
        check(utf8_is_text(buf_str(&out)));
        check(mutf7_encode(&back, buf_str(&out)) && str_equal(buf_str(&back), text));
    } else {
        check(out.length == 0);
    }
    buf_clear(&out);
    buf_clear(&back);
    check(mutf7_encode(&out, text) == utf8_is_text(text));
    if (out.length > 0) check(mutf7_decode(&back, buf_str(&out)) && str_equal(buf_str(&back), text));
    buf_free(&out);
    buf_free(&back);
    (void)!str_cut(text, '\n', &first, &name);
    struct list_pattern *pattern = list_pattern_create(first, '/', false);
    if (pattern != NULL && size < 2000) {
        unsigned result = list_pattern_match(pattern, name);
        check(((result & LIST_MATCH_NAME) != 0) == plain_match(first, name));
    }
    list_pattern_free(&pattern);
    return 0;
}
