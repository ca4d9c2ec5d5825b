/* TLSA records: three numbers, then a digest, a certificate or a key. */
#include "tls_dane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tls_tlsa record;
    if (tls_dane_read(str_make((const char *)data, size), &record) &&
        (record.usage < 2 || record.usage > 3 || record.selector > 1 || record.matching > 2 ||
         record.data.length != size - 3))
        abort();
    return 0;
}
