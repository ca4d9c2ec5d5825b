/* Opening a table by its type: a row of table_types.c. */
#include "memory.h"
#include "table.h"
#include "table_types.h"

static bool open_inner(const struct table_request *outer, struct str type_name, struct table **table,
                       struct failure *failure);

static bool open_at_depth(struct str type_name, unsigned flags, unsigned depth, const struct str *text,
                          struct table **table, struct failure *failure) {
    struct str type_text;
    struct str name;
    if (!str_cut(type_name, ':', &type_text, &name))
        return failure_set(failure, "\"%.*s\" is not of the form type:name", STR_ARGS(type_name));
    const struct table_type *type = table_type_find(str_trim(type_text));
    if (type == NULL)
        return failure_set(failure, "%.*s: there is no table type \"%.*s\"", STR_ARGS(type_name), STR_ARGS(type_text));
    if (depth > TABLE_DEPTH_MAX)
        return failure_set(failure, "%.*s: more than %d tables inside each other", STR_ARGS(type_name),
                           TABLE_DEPTH_MAX);
    struct table *result = MEMORY_NEW(struct table);
    result->flags = flags;
    result->warnings = buf_make(TABLE_WARNINGS_MAX);
    struct table_request request = {.name = str_trim(name),
                                    .flags = flags,
                                    .depth = depth,
                                    .text = text,
                                    .warnings = &result->warnings,
                                    .open_inner = open_inner};
    if (!type->open(&request, &result->methods, &result->state, failure)) {
        (void)failure_prefix(failure, "table %.*s", STR_ARGS(type_name));
        buf_free(&result->warnings);
        MEMORY_FREE(result);
        return false;
    }
    result->name = memory_copy_string(type_name);
    *table = result;
    return true;
}

bool table_open(struct str type_name, unsigned flags, struct table **table, struct failure *failure) {
    return open_at_depth(type_name, flags, 0, NULL, table, failure);
}

bool table_open_text(struct str type_name, struct str text, unsigned flags, struct table **table,
                     struct failure *failure) {
    return open_at_depth(type_name, flags, 0, &text, table, failure);
}

static bool open_inner(const struct table_request *outer, struct str type_name, struct table **table,
                       struct failure *failure) {
    if (!open_at_depth(type_name, outer->flags, outer->depth + 1, NULL, table, failure)) return false;
    buf_append(outer->warnings, table_warnings(*table));
    return true;
}
