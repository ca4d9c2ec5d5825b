/* tls_protocols: Postfix's lists of protocol versions. */
#include "tls_protocols.h"

#define ALL_VERSIONS ((1U << TLS_VERSION_COUNT) - 1)

static const struct {
    struct str name;
    int version; /* -1: known, and never there */
} version_names[] = {
    {STR_INIT("SSLv2"), -1},
    {STR_INIT("SSLv3"), TLS_VERSION_SSL3},
    {STR_INIT("TLSv1"), TLS_VERSION_1_0},
    {STR_INIT("TLSv1.0"), TLS_VERSION_1_0},
    {STR_INIT("TLSv1.1"), TLS_VERSION_1_1},
    {STR_INIT("TLSv1.2"), TLS_VERSION_1_2},
    {STR_INIT("TLSv1.3"), TLS_VERSION_1_3},
};

static bool find_version(struct str name, int *version) {
    for (size_t i = 0; i < ARRAY_LENGTH(version_names); i++) {
        if (!str_equal_nocase(version_names[i].name, name)) continue;
        *version = version_names[i].version;
        return true;
    }
    return false;
}

struct choice {
    unsigned wanted, excluded;
    int least, most;
};

static bool take_word(struct choice *choice, struct str word) {
    bool least = str_starts(word, STR(">=")), most = str_starts(word, STR("<=")), excluded = str_starts(word, STR("!"));
    struct str name = str_from_offset(word, least || most ? 2 : excluded);
    int version;
    if (!find_version(name, &version)) return false;
    if (least)
        choice->least = version;
    else if (most)
        choice->most = version;
    else if (version >= 0 && excluded)
        choice->excluded |= 1U << version;
    else if (version >= 0)
        choice->wanted |= 1U << version;
    return true;
}

bool tls_protocols_parse(struct str list, unsigned *versions, struct failure *failure) {
    struct choice choice = {.least = -1, .most = TLS_VERSION_COUNT};
    struct str word, rest = list;
    while (str_next_word(&rest, ":, \t\r\n", &word))
        if (!take_word(&choice, word))
            return failure_set(failure, "TLS protocol \"%.*s\" is not known", STR_ARGS(word));
    unsigned left = (choice.wanted ? choice.wanted : ALL_VERSIONS) & ~choice.excluded;
    for (int version = 0; version < TLS_VERSION_COUNT; version++)
        if (version < choice.least || version > choice.most) left &= ~(1U << version);
    if (!left) return failure_set(failure, "no TLS protocol is left by \"%.*s\"", STR_ARGS(list));
    *versions = left;
    return true;
}

uint16_t tls_version_number(enum tls_version version) {
    return (uint16_t)(0x0300 + (int)version);
}
