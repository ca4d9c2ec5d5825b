/* The table itself: parameters.def and foreign.def as arrays, and finding a row
 * by its name. */
#include <stddef.h>

#include "config.h"
#include "parameter.h"

#define PARAM_ROW(field_, name_, type_, value_, minimum_, maximum_, choices_, scope_, doc_)                            \
    {.name = STR_INIT(name_),                                                                                          \
     .type = (type_),                                                                                                  \
     .value = STR_INIT(value_),                                                                                        \
     .minimum = (minimum_),                                                                                            \
     .maximum = (maximum_),                                                                                            \
     .choices = STR_INIT(choices_),                                                                                    \
     .scope = (unsigned)(scope_),                                                                                      \
     .offset = offsetof(struct config, field_),                                                                        \
     .doc = STR_INIT(doc_)},
const struct parameter parameter_table[] = {
#include "parameters.def"
};
const size_t parameter_count = ARRAY_LENGTH(parameter_table);

#define PARAM_TRANSPORT(suffix_, fallback_) {.suffix = STR_INIT(#suffix_), .fallback = STR_INIT(#fallback_)},
const struct transport_parameter transport_parameter_table[] = {
#include "parameters.def"
};
const size_t transport_parameter_count = ARRAY_LENGTH(transport_parameter_table);

/* Where a section begins: this enumeration counts the rows before each title. The
 * names are made of the line in parameters.def. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define PARAM_ROW(field, name, type, value, minimum, maximum, choices, scope, doc) JOIN(ROW_ON_LINE_, __LINE__),
#define PARAM_SECTION(title)                                                                                           \
    JOIN(SECTION_ON_LINE_, __LINE__), JOIN(BACK_ON_LINE_, __LINE__) = JOIN(SECTION_ON_LINE_, __LINE__) - 1,
enum row_position {
#include "parameters.def"
};

#define PARAM_SECTION(title_) {.title = STR_INIT(title_), .first = JOIN(SECTION_ON_LINE_, __LINE__)},
const struct parameter_section parameter_sections[] = {
#include "parameters.def"
};
const size_t parameter_section_count = ARRAY_LENGTH(parameter_sections);

#define FOREIGN(name) STR_INIT(name),
static const struct str foreign_names[] = {
#include "foreign.def"
};

const struct parameter *parameter_find(struct str name) {
    for (size_t i = 0; i < parameter_count; i++)
        if (str_equal(parameter_table[i].name, name))
            return &parameter_table[i];
    return NULL;
}

const struct transport_parameter *transport_parameter_find(struct str name) {
    const struct transport_parameter *found = NULL;
    for (size_t i = 0; i < transport_parameter_count; i++) {
        const struct transport_parameter *row = &transport_parameter_table[i];
        size_t length = row->suffix.length;
        if (name.length <= length + 1 || !str_ends(name, row->suffix) || name.data[name.length - length - 1] != '_')
            continue;
        /* "destination_recipient_limit" ends in "recipient_limit" too: the longest counts. */
        if (!found || length > found->suffix.length)
            found = row;
    }
    return found;
}

const struct parameter *transport_parameter_fallback(const struct transport_parameter *row) {
    return parameter_find(row->fallback);
}

bool parameter_is_idle(struct str name, struct str value) {
    const struct transport_parameter *transport = transport_parameter_find(name);
    const struct parameter *row = parameter_find(name);
    if (!row && transport)
        row = transport_parameter_fallback(transport);
    return row && row->scope & PARAMETER_LATER && value.length > 0 && !str_equal(value, row->value);
}

bool parameter_is_foreign(struct str name) {
    for (size_t i = 0; i < ARRAY_LENGTH(foreign_names); i++)
        if (str_equal(foreign_names[i], name))
            return true;
    return false;
}

/* Names longer than this are compared by no more than that many characters. */
#define NEAREST_LENGTH_MAX 64

size_t parameter_edit_distance(struct str a, struct str b) {
    size_t row[NEAREST_LENGTH_MAX + 1];
    a = str_slice(a, 0, NEAREST_LENGTH_MAX);
    b = str_slice(b, 0, NEAREST_LENGTH_MAX);
    for (size_t j = 0; j <= b.length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t change = diagonal + (ascii_lower(a.data[i - 1]) != ascii_lower(b.data[j - 1]));
            diagonal = row[j];
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shorter ? change : shorter;
        }
    }
    return row[b.length];
}

const struct parameter *parameter_nearest(struct str name) {
    const struct parameter *nearest = NULL;
    /* A third of the letters may be wrong, at most four. */
    size_t best = (name.length / 3 < 4 ? name.length / 3 : 4) + 1;
    for (size_t i = 0; i < parameter_count; i++) {
        struct str other = parameter_table[i].name;
        if (other.length > name.length + 4 || name.length > other.length + 4)
            continue;
        size_t distance = parameter_edit_distance(name, other);
        if (distance < best) {
            best = distance;
            nearest = &parameter_table[i];
        }
    }
    return nearest;
}

struct str parameter_type_words(enum parameter_type type) {
    switch (type) {
    case PARAMETER_TEXT:
        return STR("text");
    case PARAMETER_RAW:
        return STR("text, expanded when used");
    case PARAMETER_LIST:
        return STR("list");
    case PARAMETER_TABLES:
        return STR("list of tables");
    case PARAMETER_PATH:
        return STR("file name");
    case PARAMETER_CHOICE:
        return STR("one of");
    case PARAMETER_NUMBER:
        return STR("number");
    case PARAMETER_TIME:
        return STR("time");
    case PARAMETER_SIZE:
        return STR("bytes");
    case PARAMETER_BOOL:
        return STR("yes or no");
    }
    return STR_EMPTY;
}
