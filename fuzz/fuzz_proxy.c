/* PROXY protocol headers: what is parsed whole is never called invalid in part,
 * and what follows changes nothing. */
#include "proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size);
    struct proxy_header header = {0}, again = {0};
    struct buf text = buf_make(200);

    switch (proxy_parse(input, &header)) {
    case PROXY_DONE:
        if (header.length > size || header.length < 15 || header.length > 536) abort();
        if (proxy_parse(str_slice(input, 0, header.length), &again) != PROXY_DONE) abort();
        if (memcmp(&header, &again, sizeof(header)) != 0) abort();
        if (proxy_parse(str_slice(input, 0, header.length - 1), &again) != PROXY_MORE) abort();
        if (!header.local && (!endpoint_format_ip(&header.client, &text) || !endpoint_format_ip(&header.server, &text))) abort();
        break;
    case PROXY_MORE:
        if (size >= 536) abort();
        break;
    case PROXY_INVALID: break;
    }
    buf_free(&text);
    return 0;
}
