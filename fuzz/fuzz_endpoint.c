/* Addresses in configuration syntax: what is accepted reads the same again. */
#include "endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size);
    struct endpoint endpoint, again;
    struct failure failure = {0};
    struct buf text = buf_make(200);

    if (!endpoint_parse(input, &endpoint, &failure)) {
        if (failure.text[0] == '\0') abort();
    } else if (!endpoint_is_local(&endpoint)) {
        if (!endpoint_format_ip(&endpoint, &text)) abort();
        if (!endpoint_from_ip(buf_str(&text), endpoint_port(&endpoint), &again)) abort();
        if (!endpoint_same_address(&endpoint, &again) || endpoint_port(&endpoint) != endpoint_port(&again)) abort();
    }
    if (endpoint_from_ip(input, 25, &endpoint)) {
        buf_clear(&text);
        if (!endpoint_format_ip(&endpoint, &text) || buf_str(&text).length > 45) abort();
        (void)endpoint_is_loopback(&endpoint);
    }
    buf_free(&text);
    return 0;
}
