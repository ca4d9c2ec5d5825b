/* Fuzz target: text of any charset, whole or in pieces, becomes the same well-formed UTF-8; so do encoded words.
 * The first line is the charset's name. */
#include "charset.h"
#include "encoded_word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void convert(struct str name, struct str text, size_t piece, struct buf *out) {
    struct charset_converter *converter = charset_open_lenient(name);
    for (size_t at = 0; at < text.length; at += piece)
        check(charset_convert(converter, str_slice(text, at, at + piece), false, out));
    check(charset_convert(converter, STR_EMPTY, true, out));
    check(str_is_utf8(buf_str(out)));
    charset_close(&converter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), name = STR_EMPTY, text = input;
    struct buf whole = {0}, pieces = {0};
    (void)!str_cut(input, '\n', &name, &text);
    convert(name, text, text.length + 1, &whole);
    convert(name, text, 1, &pieces);
    struct charset_converter *own = charset_open(name);
    /* glibc's own sets may see a malformed sequence differently when it comes in pieces. */
    if (own == NULL || str_equal_nocase(name, STR("windows-1252"))) check(str_equal(buf_str(&whole), buf_str(&pieces)));
    charset_close(&own);
    buf_clear(&whole);
    check(encoded_word_decode(input, &whole) && str_is_utf8(buf_str(&whole)));
    check(str_find(buf_str(&whole), '\n') == STR_NONE && str_find(buf_str(&whole), '\0') == STR_NONE);
    if (!encoded_word_is_needed(input)) check(whole.length <= size);
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
