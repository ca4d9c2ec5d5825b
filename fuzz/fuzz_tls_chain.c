/* Keys and certificates out of PEM texts; the input is cut in two, as two files would be. */
#include "tls_chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tls_identities list = {0}, again = {0};
    struct failure failure = {0};
    struct str text = str_make((const char *)data, size);
    size_t cut = str_find(text, '\0');
    struct str first = cut == STR_NONE ? text : str_slice(text, 0, cut);
    bool good = tls_identities_read(&list, first, &failure);
    list.source = 1;
    if (good && cut != STR_NONE) good = tls_identities_read(&list, str_from_offset(text, cut + 1), &failure);
    good = good && tls_identities_finish(&list, NULL, &failure);
    if (!good && failure.text[0] == '\0') abort();
    for (size_t i = 0; i < list.count; i++) {
        int64_t from, until;
        if (list.items[i].pem.length > TLS_CHAIN_PEM_LIMIT) abort();
        if (tls_identity_dates(&list.items[i], &from, &until)) (void)tls_identity_kind(&list.items[i]);
    }
    /* What was taken can be read again. */
    if (good && (!tls_identities_read(&again, buf_str(&list.items[0].pem), &failure) || !again.items[0].certificate))
        abort();
    tls_identities_free(&again);
    tls_identities_free(&list);
    return 0;
}
