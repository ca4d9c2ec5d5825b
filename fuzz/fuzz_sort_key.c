/* Fuzz target: keys compare as the texts they are made of, which a line end parts; fields of any kind make one. */
#include "sort_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static int sign(int number) {
    return number < 0 ? -1 : number > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size), a = text, b = STR_EMPTY;
    (void)!str_cut(text, '\n', &a, &b);
    int wanted = sign(str_compare(str_slice(a, 0, SORT_KEY_TEXT_MAX), str_slice(b, 0, SORT_KEY_TEXT_MAX)));
    for (int reverse = 0; reverse < 2; reverse++) {
        struct buf one = {0}, two = {0};
        sort_key_append_text(&one, a, reverse == 1);
        sort_key_append_number(&one, (int64_t)size, false);
        sort_key_append_text(&two, b, reverse == 1);
        sort_key_append_number(&two, (int64_t)size, false);
        check(sign(str_compare(buf_str(&one), buf_str(&two))) == (reverse == 1 ? -wanted : wanted));
        buf_free(&one);
        buf_free(&two);
    }
    struct buf out = {0};
    sort_text_subject(&out, text);
    sort_text_address(&out, text);
    sort_text_display(&out, text);
    buf_free(&out);
    return 0;
}
