/* Fuzz target: folding twice is folding once; what is searched in pieces is found as in the whole. The first line is
 * the key. */
#include "casemap.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), key = input, text = STR_EMPTY;
    struct buf once = {0}, twice = {0}, folded_key = {0};
    (void)!str_cut(input, '\n', &key, &text);
    casemap_append(&once, text);
    casemap_append(&twice, buf_str(&once));
    casemap_append(&folded_key, key);
    check(!str_is_utf8(text) || (str_is_utf8(buf_str(&once)) && str_equal(buf_str(&once), buf_str(&twice))));
    if (str_is_utf8(text)) {
        bool wanted = str_find_str(buf_str(&once), buf_str(&folded_key)) != STR_NONE;
        for (size_t piece = 1; piece <= 16; piece += 3) {
            struct casemap_search search;
            bool found = folded_key.length == 0;
            casemap_search_begin(&search, key);
            for (size_t at = 0; at < text.length; at += piece)
                found = casemap_search_next(&search, str_slice(text, at, at + piece)) || found;
            check(found == wanted);
            casemap_search_free(&search);
        }
    }
    buf_free(&once);
    buf_free(&twice);
    buf_free(&folded_key);
    return 0;
}
