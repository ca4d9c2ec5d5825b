/* The words of the restriction language: see restriction_words.h. */
#include "restriction_words.h"

#include "parameter.h"

const struct restriction restriction_table[] = {
#define RESTRICTION(name, takes_argument, function) {STR_INIT(#name), takes_argument},
#include "restrictions.def"
};

static const struct str later[] = {
#define RESTRICTION_LATER(name) STR_INIT(#name),
#include "restrictions.def"
};

const struct restriction *restriction_find(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(restriction_table); i++)
        if (str_equal_nocase(restriction_table[i].name, name)) return &restriction_table[i];
    return NULL;
}

bool restriction_is_later(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(later); i++)
        if (str_equal_nocase(later[i], name)) return true;
    return false;
}

struct str restriction_nearest(struct str name) {
    struct str found = STR_EMPTY;
    size_t best = name.length / 5 + 1;
    for (size_t i = 0; i < ARRAY_LENGTH(restriction_table); i++) {
        size_t distance = parameter_edit_distance(name, restriction_table[i].name);
        if (distance >= best) continue;
        best = distance;
        found = restriction_table[i].name;
    }
    return found;
}
