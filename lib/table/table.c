/* Opening tables by type and asking them. */
#include "memory.h"
#include "table.h"
#include "table_types.h"

struct table {
    const struct table_methods *methods;
    void *state;
    char *name;
    unsigned flags;
    struct buf warnings;
    struct buf folded; /* the key in lower case, while it is looked up */
};

/* A fixed key longer than this is in no table. */
#define FIXED_KEY_MAX 65536

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
    struct table_request request = {
        .name = str_trim(name), .flags = flags, .depth = depth, .text = text, .warnings = &result->warnings};
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

bool table_open_inner(const struct table_request *outer, struct str type_name, struct table **table,
                      struct failure *failure) {
    if (!open_at_depth(type_name, outer->flags, outer->depth + 1, NULL, table, failure)) return false;
    buf_append(outer->warnings, table_warnings(*table));
    return true;
}

void table_close(struct table **table) {
    if (*table == NULL) return;
    (*table)->methods->close((*table)->state);
    buf_free(&(*table)->warnings);
    buf_free(&(*table)->folded);
    MEMORY_FREE((*table)->name);
    MEMORY_FREE(*table);
}

enum table_result table_lookup(struct table *table, struct str key, struct buf *value, struct failure *failure) {
    const struct table_methods *methods = table->methods;
    if (methods->fixed_keys) {
        if (key.length > FIXED_KEY_MAX) return TABLE_ABSENT;
        if ((table->flags & TABLE_UTF8) != 0 && !str_is_utf8(key)) return TABLE_ABSENT;
        if ((table->flags & TABLE_FOLD) != 0) {
            buf_clear(&table->folded);
            table_fold(key, &table->folded);
            key = buf_str(&table->folded);
        }
    }
    enum table_result result = methods->lookup(table->state, key, value, failure);
    if (result == TABLE_RETRY) (void)failure_prefix(failure, "table %s", table->name);
    return result;
}

bool table_changed(const struct table *table) {
    return table->methods->changed != NULL && table->methods->changed(table->state);
}

struct str table_name(const struct table *table) { return str_from(table->name); }
struct str table_warnings(const struct table *table) { return buf_str(&table->warnings); }
bool table_has_fixed_keys(const struct table *table) { return table->methods->fixed_keys; }

bool table_each(struct table *table, bool (*each)(void *context, struct str key, struct str value), void *context,
                struct failure *failure) {
    if (table->methods->each == NULL) return failure_set(failure, "table %s cannot list its entries", table->name);
    return table->methods->each(table->state, each, context, failure);
}

bool table_request_read(const struct table_request *request, size_t limit, struct buf *text,
                        struct table_stamp *stamp, struct failure *failure) {
    if (request->text == NULL) return table_file_read(request->name, limit, text, stamp, failure);
    if (request->text->length > limit) return failure_set(failure, "larger than %zu bytes", limit);
    *stamp = (struct table_stamp){0};
    return buf_append(text, *request->text);
}

void table_fold(struct str key, struct buf *folded) {
    if (key.length == 0) return;
    char *room = buf_reserve(folded, key.length);
    if (room == NULL) return;
    for (size_t i = 0; i < key.length; i++) room[i] = ascii_lower(key.data[i]);
    buf_commit(folded, key.length);
}

enum table_result table_give(struct str found, struct buf *value, struct failure *failure) {
    if (buf_append(value, found)) return TABLE_FOUND;
    (void)failure_set(failure, "a value of %zu bytes is too long", found.length);
    return TABLE_RETRY;
}

void table_warn(struct buf *warnings, struct str file, size_t line, const char *format, ...) {
    struct buf text = {0};
    va_list arguments;
    va_start(arguments, format);
    (void)buf_printf(&text, "%.*s, line %zu: ", STR_ARGS(file), line);
    (void)buf_vprintf(&text, format, arguments);
    va_end(arguments);
    (void)buf_append_char(&text, '\n');
    buf_append(warnings, buf_str(&text));
    buf_free(&text);
}
