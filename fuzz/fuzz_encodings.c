/* Fuzz target: base64, xtext, the UTF-8 address forms and log text come back, or come out harmless. */
#include "base64.h"
#include "log_text.h"
#include "status_code.h"
#include "utf8.h"
#include "xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct buf out = {0}, back = {0};
    check(base64_encode(&out, text) && base64_decode(&back, buf_str(&out)) && str_equal(buf_str(&back), text));
    buf_clear(&out);
    buf_clear(&back);
    /* Strict: what decodes has only one spelling. */
    if (base64_decode(&out, text)) check(base64_encode(&back, buf_str(&out)) && str_equal(buf_str(&back), text));
    buf_clear(&out);
    buf_clear(&back);
    check(xtext_encode(&out, text) && xtext_decode(&back, buf_str(&out)) && str_equal(buf_str(&back), text));
    buf_clear(&out);
    if (!xtext_decode(&out, text)) check(out.length == 0);
    buf_clear(&out);
    if (utf8_address_decode(&out, text)) {
        buf_clear(&back);
        check(utf8_address_xtext_encode(&back, buf_str(&out)) && str_is_printable(buf_str(&back)));
        struct buf again = {0};
        check(utf8_address_decode(&again, buf_str(&back)) && str_equal(buf_str(&again), buf_str(&out)));
        buf_clear(&back);
        check(utf8_address_unitext_encode(&back, buf_str(&out)));
        buf_free(&again);
    }
    buf_clear(&out);
    check(log_text_append(&out, text, 0) && utf8_is_text(buf_str(&out)) && out.length <= size);
    char array[40];
    for (size_t room = 1; room <= sizeof array; room++) {
        struct str cut = str_from(log_text(array, room, text));
        check(cut.length < room && utf8_is_text(cut));
    }
    struct status_code code;
    if (status_code_parse(text, &code)) check(code.class == 2 || code.class == 4 || code.class == 5);
    buf_free(&out);
    buf_free(&back);
    return 0;
}
