/* Fuzz target: MTA-STS records and policies. Patterns that were read are host names, and match themselves. */
#include "domain.h"
#include "sts_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void check_patterns(struct str patterns) {
    struct str rest = patterns, pattern;
    while (str_next_word(&rest, " ", &pattern)) {
        bool wild = str_starts(pattern, STR("*."));
        struct str name = wild ? str_from_offset(pattern, 2) : pattern;
        struct buf host = {0};
        check(domain_is_valid(name, DOMAIN_UNDERSCORE));
        buf_printf(&host, "%s%.*s", wild ? "x." : "", STR_ARGS(name));
        check(sts_patterns_match(patterns, buf_str(&host)));
        buf_free(&host);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size), id = STR_EMPTY;
    struct sts_policy policy = {.mode = STS_NONE};
    struct buf patterns = {0};
    struct failure failure = {0};
    if (sts_record_parse(text, &id)) check(sts_record_is_one(text) && id.length > 0 && id.length <= 32);
    if (sts_policy_parse(text, &policy, &patterns, &failure)) {
        check(policy.max_age <= STS_MAX_AGE && (policy.mode == STS_NONE || patterns.length > 0));
        check_patterns(buf_str(&patterns));
    } else {
        check(patterns.length == 0 && failure.text[0] != '\0');
    }
    buf_free(&patterns);
    return 0;
}
