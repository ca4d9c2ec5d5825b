/* ternconf: which rows of master.cf an argument means. */
#include "ternconf.h"

static bool part_matches(struct str pattern, struct str text) {
    return pattern.length == 0 || str_equal(pattern, STR("*")) || str_equal(pattern, text);
}

struct ternconf_pattern ternconf_pattern_parse(struct str text, size_t parts) {
    struct ternconf_pattern pattern = {.service = text, .type = STR_EMPTY, .third = STR_EMPTY};
    struct str rest = STR_EMPTY;
    if (parts > 1 && str_cut(text, '/', &pattern.service, &rest)) {
        pattern.type = rest;
        if (parts > 2)
            str_cut(rest, '/', &pattern.type, &pattern.third);
    }
    return pattern;
}

bool ternconf_pattern_matches(struct ternconf_pattern *pattern, const struct master_cf_row *row, struct str third) {
    bool matches = part_matches(pattern->service, row->name) &&
                   part_matches(pattern->type, master_cf_type_name(row->type)) && part_matches(pattern->third, third);
    pattern->matched = pattern->matched || matches;
    return matches;
}
