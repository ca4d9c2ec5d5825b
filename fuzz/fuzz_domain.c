/* Fuzz target: a domain that is valid has A-labels that are valid, and those do not change again. */
#include "domain.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str name = str_make((const char *)data, size);
    struct buf ascii = {0}, again = {0}, unicode = {0};
    if (domain_append_ascii(&ascii, name)) {
        check(domain_is_valid(buf_str(&ascii), DOMAIN_UNDERSCORE));
        check(domain_append_ascii(&again, buf_str(&ascii)) && str_equal(buf_str(&again), buf_str(&ascii)));
        check(domain_append_unicode(&unicode, name) && utf8_is_text(buf_str(&unicode)));
    } else {
        check(ascii.length == 0);
    }
    for (unsigned flags = 0; flags < 16; flags++) {
        if (domain_is_valid(name, flags)) check(utf8_is_text(name) && name.length <= DOMAIN_LENGTH_MAX + 1);
        if (domain_classify(name, flags) == DOMAIN_LITERAL_IPV6) check(domain_literal_address(name).length > 1);
    }
    buf_free(&ascii);
    buf_free(&again);
    buf_free(&unicode);
    return 0;
}
