/* Fuzz target: URLs. What was read lies within the text, and nothing in it could break out of a request. */
#include "url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct url url;
    if (!url_parse(text, &url)) return 0;
    check(url.host.length > 0 && url.host.length <= 253 && url.port > 0);
    check(url.host.data >= text.data && url.host.data + url.host.length <= text.data + text.length);
    check(url.target.length == 0 || url.target.data[0] == '/' || url.target.data[0] == '?');
    check(str_find(url.host, '@') == STR_NONE && str_is_printable(url.target) && str_find(url.target, ' ') == STR_NONE);
    return 0;
}
