/* Fuzz target: what auth kept of wrong logins, as a place in its file, and as the lines alone. */
#include "auth_state.h"
#include "failures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct failures_limits limits = {3, 6, 600, 100, 350, 86400, 50};
    struct str input = str_make((const char *)data, size), secret, records = input;
    struct failures *failures = failures_create(&limits), *again = failures_create(&limits);
    struct buf text = buf_make(0), same = buf_make(0);
    uint64_t number;
    int64_t until;
    if (auth_state_unpack(input, &number, &secret, &records) && secret.length != AUTH_STATE_SECRET) __builtin_trap();
    (void)failures_read(failures, records, NOW);
    (void)failures_check(failures, STR("192.0.2.1"), STR("anna"), NOW, &until);
    if (!failures_write(failures, NOW, &text)) __builtin_trap();
    (void)failures_read(again, buf_str(&text), NOW);
    if (!failures_write(again, NOW, &same) || !str_equal(buf_str(&text), buf_str(&same))) __builtin_trap();
    buf_free(&text);
    buf_free(&same);
    failures_destroy(&failures);
    failures_destroy(&again);
    return 0;
}
