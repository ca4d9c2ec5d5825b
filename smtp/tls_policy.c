/* See tls_policy.h. */
#include "tls_policy.h"
#include "domain.h"

#define VALUE_SEPARATORS ", \t\r\n"
#define NAME_SEPARATORS  ":, \t\r\n"

static const struct {
    struct str name;
    enum tls_level level;
} levels[] = {
#define TLS_LEVEL_ROW(name, text) {STR_INIT(text), TLS_LEVEL_##name},
    TLS_LEVEL_TABLE(TLS_LEVEL_ROW)
#undef TLS_LEVEL_ROW
};

const char *tls_level_name(enum tls_level level) {
    return levels[level].name.data;
}

bool tls_level_parse(struct str text, enum tls_level *level) {
    for (size_t i = 0; i < ARRAY_LENGTH(levels); i++) {
        if (levels[i].level == TLS_LEVEL_HALF_DANE || !str_equal_nocase(text, levels[i].name)) continue;
        *level = levels[i].level;
        return true;
    }
    return false;
}

bool tls_words_add(struct tls_words *words, struct str list, const char *separators) {
    size_t before = words->count;
    struct str word;
    while (str_next_word(&list, separators, &word)) {
        if (words->count == TLS_POLICY_WORDS_MAX) {
            words->count = before;
            return false;
        }
        words->words[words->count++] = word;
    }
    return true;
}

/* ---- attributes */

struct reading {
    struct tls_policy policy;
    struct str name, value; /* of the attribute */
    struct failure *failure;
};

static bool bad_value(const struct reading *reading) {
    return failure_set(reading->failure, "attribute \"%.*s\" has a bad value \"%.*s\"", STR_ARGS(reading->name),
                       STR_ARGS(reading->value));
}

static bool set_once(const struct reading *reading, struct str *target) {
    if (target->length)
        return failure_set(reading->failure, "attribute \"%.*s\" is given more than once", STR_ARGS(reading->name));
    *target = reading->value;
    return true;
}

static bool set_grade(struct reading *reading) {
    static const struct str grades[] = {STR_INIT("high"), STR_INIT("medium"), STR_INIT("low"), STR_INIT("export"),
                                        STR_INIT("null")};
    for (size_t i = 0; i < ARRAY_LENGTH(grades); i++)
        if (str_equal_nocase(reading->value, grades[i])) return set_once(reading, &reading->policy.grade);
    return bad_value(reading);
}

static bool set_exclude(struct reading *reading) {
    reading->policy.has_exclude = true;
    return tls_words_add(&reading->policy.exclude, reading->value, NAME_SEPARATORS) || bad_value(reading);
}

static bool set_match(struct reading *reading) {
    enum tls_level level = reading->policy.level;
    if (level != TLS_LEVEL_FINGERPRINT && level != TLS_LEVEL_VERIFY && level != TLS_LEVEL_SECURE)
        return failure_set(reading->failure, "attribute \"match\" has no meaning at level %s", tls_level_name(level));
    return tls_words_add(&reading->policy.match, reading->value, level == TLS_LEVEL_FINGERPRINT ? "|" : ":") ||
           bad_value(reading);
}

static bool yes_or_no(const struct reading *reading, bool *value) {
    bool yes = str_equal_nocase(reading->value, STR("yes"));
    if (!yes && !str_equal_nocase(reading->value, STR("no"))) return bad_value(reading);
    *value = yes;
    return true;
}

static bool set_reuse(struct reading *reading) {
    if (reading->policy.has_reuse)
        return failure_set(reading->failure, "attribute \"connection_reuse\" is given more than once");
    reading->policy.has_reuse = true;
    return yes_or_no(reading, &reading->policy.reuse);
}

static bool set_attribute(struct reading *reading) {
    struct str name = reading->name;
    bool ignored;
    if (reading->value.length == 0) return bad_value(reading);
    if (str_equal_nocase(name, STR("protocols"))) return set_once(reading, &reading->policy.protocols);
    if (str_equal_nocase(name, STR("ciphers"))) return set_grade(reading);
    if (str_equal_nocase(name, STR("exclude"))) return set_exclude(reading);
    if (str_equal_nocase(name, STR("match"))) return set_match(reading);
    if (str_equal_nocase(name, STR("servername"))) return set_once(reading, &reading->policy.server_name);
    if (str_equal_nocase(name, STR("connection_reuse"))) return set_reuse(reading);
    if (str_equal_nocase(name, STR("enable_rpk"))) return yes_or_no(reading, &ignored);
    if (str_equal_nocase(name, STR("tafile")))
        return failure_set(reading->failure,
                           "tafile= is not done: put the authority into a file of its own and a service with "
                           "smtp_tls_CAfile, or use match= at level fingerprint");
    return failure_set(reading->failure, "unknown attribute \"%.*s\"", STR_ARGS(name));
}

bool tls_policy_parse(struct str text, struct tls_policy *policy, struct failure *failure) {
    struct reading reading = {.failure = failure};
    struct str word;
    if (!str_next_word(&text, VALUE_SEPARATORS, &word)) return failure_set(failure, "no security level");
    if (!tls_level_parse(word, &reading.policy.level))
        return failure_set(failure, "invalid security level \"%.*s\"", STR_ARGS(word));
    /* Where TLS is off, how it would be used does not matter. */
    while (reading.policy.level != TLS_LEVEL_NONE && str_next_word(&text, VALUE_SEPARATORS, &word)) {
        if (!str_cut(word, '=', &reading.name, &reading.value))
            return failure_set(failure, "malformed attribute \"%.*s\"", STR_ARGS(word));
        if (!set_attribute(&reading)) return false;
    }
    *policy = reading.policy;
    return true;
}

/* ---- keys */

bool tls_policy_key(struct str next_hop, size_t *step, struct str *key) {
    size_t skip = *step, dot;
    if (skip == 0) {
        *key = next_hop;
        *step = 1;
        return next_hop.length > 0;
    }
    /* [host] and host:port are destinations that somebody has configured; they have no parents. */
    if (!domain_is_valid(next_hop, DOMAIN_UNDERSCORE | DOMAIN_TRAILING_DOT | DOMAIN_UTF8)) return false;
    dot = str_find(str_from_offset(next_hop, skip), '.');
    if (dot == STR_NONE || skip + dot + 1 >= next_hop.length) return false;
    *key = str_from_offset(next_hop, skip + dot);
    *step = skip + dot + 1;
    return true;
}
