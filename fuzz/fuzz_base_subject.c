/* Fuzz target: a base subject is its own base subject, but for what is encoded once more. */
#include "base_subject.h"
#include "encoded_word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf once = {0}, twice = {0};
    (void)base_subject_append(&once, str_make((const char *)data, size));
    check(str_is_utf8(buf_str(&once)));
    check(!str_starts(buf_str(&once), STR(" ")) && !str_ends(buf_str(&once), STR(" ")));
    if (str_find_str(buf_str(&once), STR("=?")) == STR_NONE) {
        check(!base_subject_append(&twice, buf_str(&once)));
        check(str_equal(buf_str(&once), buf_str(&twice)));
    }
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
