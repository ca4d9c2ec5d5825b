/* See sts_policy.h. */
#include "sts_policy.h"

#include "domain.h"

enum { ID_LIMIT = 32, MAX_AGE_DIGITS = 10 };

/* ---- the record: "v=STSv1; id=20160831085700Z;" */

static struct str trim_blanks(struct str text) {
    while (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = str_from_offset(text, 1);
    while (text.length > 0 && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t'))
        text.length--;
    return text;
}

static bool is_alphanumeric(struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_alnum(text.data[i])) return false;
    return text.length > 0;
}

bool sts_record_is_one(struct str record) {
    struct str version, rest;
    return str_cut(record, ';', &version, &rest) && str_equal(trim_blanks(version), STR("v=STSv1")) &&
           str_starts(record, STR("v="));
}

/* sts-ext-name, section 3.1. */
static bool is_field_name(struct str name) {
    if (name.length == 0 || name.length > 32 || !ascii_is_alnum(name.data[0])) return false;
    for (size_t i = 0; i < name.length; i++)
        if (!ascii_is_alnum(name.data[i]) && name.data[i] != '_' && name.data[i] != '-' && name.data[i] != '.')
            return false;
    return true;
}

static bool read_field(struct str field, struct str *id) {
    struct str name, value;
    if (!str_cut(field, '=', &name, &value) || !is_field_name(name) || value.length == 0) return false;
    for (size_t i = 0; i < value.length; i++)
        if (value.data[i] <= ' ' || value.data[i] >= 0x7f || value.data[i] == '=') return false;
    if (!str_equal(name, STR("id")) || id->length > 0) return true;
    if (value.length > ID_LIMIT || !is_alphanumeric(value)) return false;
    *id = value;
    return true;
}

bool sts_record_parse(struct str record, struct str *id) {
    struct str found = STR_EMPTY, version, rest, field;
    if (!sts_record_is_one(record) || !str_cut(record, ';', &version, &rest)) return false;
    while (rest.length > 0) {
        if (!str_cut(rest, ';', &field, &rest)) {
            field = rest;
            rest = STR_EMPTY;
        }
        field = trim_blanks(field);
        if (field.length == 0 && rest.length == 0) break; /* the delimiter at the end */
        if (!read_field(field, &found)) return false;
    }
    if (found.length == 0) return false;
    *id = found;
    return true;
}

/* ---- the policy: "version: STSv1" and so on, a line each */

struct reading {
    bool has_version, has_mode, has_max_age;
    struct sts_policy policy;
    struct buf patterns;
};

static bool read_version(struct reading *reading, struct str value, struct failure *failure) {
    if (reading->has_version) return true;
    reading->has_version = true;
    return str_equal(value, STR("STSv1")) || failure_set(failure, "its version is not STSv1");
}

static bool read_mode(struct reading *reading, struct str value, struct failure *failure) {
    static const enum sts_mode modes[] = {STS_NONE, STS_TESTING, STS_ENFORCE};
    if (reading->has_mode) return true;
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        if (!str_equal(value, str_from(sts_mode_name(modes[i])))) continue;
        reading->has_mode = true;
        reading->policy.mode = modes[i];
        return true;
    }
    return failure_set(failure, "its mode is none that there is");
}

static bool read_max_age(struct reading *reading, struct str value, struct failure *failure) {
    uint64_t seconds;
    if (reading->has_max_age) return true;
    if (value.length > MAX_AGE_DIGITS || !str_to_u64(value, UINT64_C(9999999999), &seconds))
        return failure_set(failure, "its max_age is no number of seconds");
    reading->has_max_age = true;
    reading->policy.max_age = seconds < STS_MAX_AGE ? seconds : STS_MAX_AGE;
    return true;
}

static bool read_mx(struct reading *reading, struct str value, struct failure *failure) {
    struct str name = str_starts(value, STR("*.")) ? str_from_offset(value, 2) : value;
    if (!domain_is_valid(name, DOMAIN_UNDERSCORE)) return failure_set(failure, "an mx pattern is no host name");
    if (reading->patterns.length > 0) buf_append_char(&reading->patterns, ' ');
    for (size_t i = 0; i < value.length; i++)
        buf_append_char(&reading->patterns, ascii_lower(value.data[i]));
    return true;
}

static bool read_line(struct reading *reading, struct str line, struct failure *failure) {
    struct str name, value;
    line = str_trim(line);
    if (line.length == 0) return true;
    if (!str_cut(line, ':', &name, &value) || !is_field_name(trim_blanks(name)))
        return failure_set(failure, "a line has no field name");
    name = trim_blanks(name);
    value = trim_blanks(value);
    if (str_equal(name, STR("version"))) return read_version(reading, value, failure);
    if (!reading->has_version) return failure_set(failure, "it does not begin with its version");
    if (str_equal(name, STR("mode"))) return read_mode(reading, value, failure);
    if (str_equal(name, STR("max_age"))) return read_max_age(reading, value, failure);
    if (str_equal(name, STR("mx"))) return read_mx(reading, value, failure);
    return true;
}

static bool read_policy(struct str text, struct reading *reading, struct failure *failure) {
    struct str line;
    if (text.length > STS_POLICY_LIMIT) return failure_set(failure, "it is longer than %zu octets", STS_POLICY_LIMIT);
    if (memchr(text.data, '\0', text.length)) return failure_set(failure, "it holds NUL");
    while (text.length > 0) {
        if (!str_cut(text, '\n', &line, &text)) {
            line = text;
            text = STR_EMPTY;
        }
        if (!read_line(reading, line, failure)) return false;
    }
    if (!reading->has_version) return failure_set(failure, "it has no version");
    if (!reading->has_mode) return failure_set(failure, "it has no mode");
    if (!reading->has_max_age) return failure_set(failure, "it has no max_age");
    if (reading->policy.mode != STS_NONE && reading->patterns.length == 0)
        return failure_set(failure, "it names no mx");
    return true;
}

bool sts_policy_parse(struct str text, struct sts_policy *policy, struct buf *patterns, struct failure *failure) {
    struct reading reading = {.patterns = buf_make(0)};
    bool good = read_policy(text, &reading, failure);
    if (good) {
        *policy = reading.policy;
        buf_append(patterns, buf_str(&reading.patterns));
    }
    buf_free(&reading.patterns);
    return good;
}

/* ---- matching */

static bool pattern_matches(struct str pattern, struct str host) {
    if (!str_starts(pattern, STR("*."))) return str_equal_nocase(pattern, host);
    size_t dot = str_find(host, '.');
    return dot != STR_NONE && dot > 0 && str_equal_nocase(str_from_offset(pattern, 1), str_from_offset(host, dot));
}

bool sts_patterns_match(struct str patterns, struct str host) {
    struct str pattern;
    if (str_ends(host, STR("."))) host.length--;
    while (str_next_word(&patterns, " ", &pattern))
        if (pattern_matches(pattern, host)) return true;
    return false;
}

const char *sts_mode_name(enum sts_mode mode) {
    switch (mode) {
    case STS_NONE:
        return "none";
    case STS_TESTING:
        return "testing";
    case STS_ENFORCE:
        return "enforce";
    }
    return "none";
}
