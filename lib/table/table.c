/* Asking tables, and what all types of them share. */
#include "memory.h"
#include "table.h"
#include "table_types.h"

/* A fixed key longer than this is in no table. */
#define FIXED_KEY_MAX 65536

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
