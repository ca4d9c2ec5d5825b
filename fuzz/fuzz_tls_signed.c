/* What a TLS handshake has signed: whatever is judged to be so stops being so when it is cut or grows, but
 * that a sentence of TLS 1.3 may have a hash of 32 or 48 octets. */
#include "buf.h"
#include "tls_signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str content = str_make((const char *)data, size);
    enum tls_signed judged = tls_signed_content(content);
    if (judged == TLS_SIGNED_BY_NOBODY) return 0;
    if (size <= 64) abort();
    if (tls_signed_content(str_slice(content, 0, size - 1)) != TLS_SIGNED_BY_NOBODY) abort();
    struct buf longer = buf_make(0);
    buf_append(&longer, content);
    buf_append_char(&longer, '\0');
    if (tls_signed_content(buf_str(&longer)) != TLS_SIGNED_BY_NOBODY) abort();
    buf_free(&longer);
    return 0;
}
