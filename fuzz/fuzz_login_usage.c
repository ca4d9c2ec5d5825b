/* Fuzz target: the overrides of an account's limits, and the file of what accounts have sent. */
#include "login_usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), rest = input, login, bad;
    struct login_limits limits = {.window = 60};
    struct login_usage usage;
    struct buf again = buf_make(0);
    if (login_limits_parse(input, &limits, &bad) && limits.most[LOGIN_BYTES] > INT64_MAX) abort();
    while (login_usage_next(&rest, &login, &usage)) {
        struct login_event event = {.messages = 1, .recipients = 1, .bytes = 1};
        enum login_counter over = LOGIN_COUNTERS;
        if (!login_usage_pack(&again, login, &usage)) abort();
        (void)login_usage_judge(&usage, &event, 1000, &over);
        login_usage_add(&usage, &event, 1000);
    }
    if (!str_equal(buf_str(&again), str_slice(input, 0, again.length))) abort();
    buf_free(&again);
    return 0;
}
