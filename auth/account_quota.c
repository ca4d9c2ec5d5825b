/* account_quota: see account_quota.h. */
#include "account_quota.h"
#include "sources.h"

/* A number and its unit, B, K, M, G or T; factor is what counts without one. */
static bool read_amount(struct str text, uint64_t factor, uint64_t *amount) {
    static const char units[] = "BKMGT";
    uint64_t number = 0;
    char last = text.length ? ascii_upper(text.data[text.length - 1]) : '\0';
    const char *unit = last ? strchr(units, last) : NULL;
    if (unit) {
        text.length--;
        factor = (uint64_t)1 << 10 * (unit - units);
    }
    if (!str_to_u64(text, UINT64_MAX / factor, &number)) return false;
    *amount = number * factor;
    return true;
}

/* One of a rule's limits. Dovecot counts storage in kilobytes if there is no unit. */
static bool read_limit(struct str text, struct account_quota *quota) {
    static const struct {
        struct str name;
        uint64_t factor;
        bool storage;
    } limits[] = {{STR_INIT("storage="), 1024, true}, {STR_INIT("bytes="), 1, true}, {STR_INIT("messages="), 1, false}};
    if (str_equal(text, STR("ignore"))) {
        *quota = (struct account_quota){0};
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++)
        if (str_starts(text, limits[i].name))
            return read_amount(str_from_offset(text, limits[i].name.length), limits[i].factor,
                               limits[i].storage ? &quota->storage : &quota->messages);
    return str_starts(text, STR("backend="));
}

bool quota_rule_read(struct str rule, struct account_quota *quota) {
    struct account_quota said = *quota;
    struct str folder, limits, limit;
    if (!str_cut(rule, ':', &folder, &limits)) return false;
    if (!str_equal(folder, STR("*")) && !str_equal(folder, STR("?"))) return folder.length > 0;
    while (limits.length > 0) {
        struct str rest = STR_EMPTY;
        limit = limits;
        (void)str_cut(limits, ':', &limit, &rest);
        if (!read_limit(limit, &said)) return false;
        limits = rest;
    }
    *quota = said;
    return true;
}

bool account_quota_read(const struct auth_account *account, struct account_quota *quota, struct str *field) {
    static const struct str rules[] = {
        STR_INIT("quota_rule"),  STR_INIT("quota_rule2"), STR_INIT("quota_rule3"),
        STR_INIT("quota_rule4"), STR_INIT("quota_rule5"), STR_INIT("quota_rule6"),
        STR_INIT("quota_rule7"), STR_INIT("quota_rule8"), STR_INIT("quota_rule9"),
    };
    static const struct str names[] = {STR_INIT("quota_storage"), STR_INIT("quota_messages")};
    uint64_t *const values[] = {&quota->storage, &quota->messages};
    bool good = true;
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        struct str value = auth_account_field(account, rules[i]);
        if (value.length == 0 || quota_rule_read(value, quota)) continue;
        *field = rules[i];
        good = false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct str value = auth_account_field(account, names[i]);
        if (value.length == 0 || str_to_u64(value, UINT64_MAX, values[i])) continue;
        *field = names[i];
        good = false;
    }
    return good;
}
