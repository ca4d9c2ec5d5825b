/* Policies and the keys of smtp_tls_policy_maps: what comes out lies in what went in, and ends. */
#include "tls_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct str part, struct str whole) {
    if (part.length && (part.data < whole.data || part.data + part.length > whole.data + whole.length)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size), key;
    struct tls_policy policy;
    struct failure failure;
    size_t step = 0, last = 0, rounds = 0;
    if (tls_policy_parse(text, &policy, &failure)) {
        if (policy.level == TLS_LEVEL_HALF_DANE || policy.match.count > TLS_POLICY_WORDS_MAX) abort();
        check_within(policy.protocols, text);
        check_within(policy.server_name, text);
        for (size_t i = 0; i < policy.match.count; i++)
            check_within(policy.match.words[i], text);
        for (size_t i = 0; i < policy.exclude.count; i++)
            check_within(policy.exclude.words[i], text);
    }
    while (tls_policy_key(text, &step, &key)) {
        check_within(key, text);
        if (key.length == 0 || step <= last || ++rounds > size + 1) abort();
        last = step;
    }
    return 0;
}
