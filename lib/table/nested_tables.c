/* The table types made of other tables: unionmap, pipemap, proxy. */
#include "memory.h"
#include "table_types.h"
#include "table_words.h"

struct tables {
    struct table **items;
    size_t count;
};

static void tables_close(void *state) {
    struct tables *tables = state;
    for (size_t i = 0; i < tables->count; i++) table_close(&tables->items[i]);
    MEMORY_FREE(tables->items);
    MEMORY_FREE(tables);
}

static bool tables_changed(const void *state) {
    const struct tables *tables = state;
    for (size_t i = 0; i < tables->count; i++)
        if (table_changed(tables->items[i])) return true;
    return false;
}

static bool tables_add(struct tables *tables, const struct table_request *request, struct str type_name,
                       struct failure *failure) {
    struct table *table;
    if (!request->open_inner(request, type_name, &table, failure)) return false;
    tables->items = memory_resize(tables->items, tables->count + 1, sizeof(struct table *));
    tables->items[tables->count++] = table;
    return true;
}

static bool tables_fill(struct tables *tables, const struct table_request *request, struct failure *failure) {
    struct str rest;
    if (!table_word_unbrace(request->name, &rest)) return failure_set(failure, "expected { type:name, ... }");
    for (;;) {
        struct str word;
        enum table_word taken = table_word_next(&rest, &word);
        if (taken == TABLE_WORD_UNBALANCED) return failure_set(failure, "braces are not balanced");
        if (taken == TABLE_WORD_END) break;
        (void)table_word_unbrace(word, &word);
        if (!tables_add(tables, request, word, failure)) return false;
    }
    return tables->count > 0 || failure_set(failure, "no tables");
}

static bool tables_open(const struct table_request *request, void **state, struct failure *failure) {
    struct tables *tables = MEMORY_NEW(struct tables);
    if (!tables_fill(tables, request, failure)) {
        tables_close(tables);
        return false;
    }
    *state = tables;
    return true;
}

/* ---- unionmap */

static enum table_result unionmap_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    struct tables *tables = state;
    size_t before = value->length;
    bool found = false;
    for (size_t i = 0; i < tables->count; i++) {
        struct buf one = buf_make(value->limit);
        enum table_result result = table_lookup(tables->items[i], key, &one, failure);
        if (result == TABLE_FOUND) {
            if (found && !buf_append_char(value, ',')) result = TABLE_RETRY;
            if (result == TABLE_FOUND) result = table_give(buf_str(&one), value, failure);
            found = true;
        }
        buf_free(&one);
        if (result == TABLE_RETRY) {
            buf_truncate(value, before);
            return TABLE_RETRY;
        }
    }
    return found ? TABLE_FOUND : TABLE_ABSENT;
}

bool table_unionmap_open(const struct table_request *request, const struct table_methods **methods, void **state,
                         struct failure *failure) {
    static const struct table_methods unionmap_methods = {
        .lookup = unionmap_lookup, .close = tables_close, .changed = tables_changed};
    *methods = &unionmap_methods;
    return tables_open(request, state, failure);
}

/* ---- pipemap */

static enum table_result pipemap_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    struct tables *tables = state;
    struct buf now = {0};
    struct buf next = {0};
    enum table_result result = TABLE_ABSENT;
    for (size_t i = 0; i < tables->count; i++) {
        buf_clear(&next);
        result = table_lookup(tables->items[i], i == 0 ? key : buf_str(&now), &next, failure);
        if (result != TABLE_FOUND) break;
        struct buf swap = now;
        now = next;
        next = swap;
    }
    if (result == TABLE_FOUND) result = table_give(buf_str(&now), value, failure);
    buf_free(&now);
    buf_free(&next);
    return result;
}

bool table_pipemap_open(const struct table_request *request, const struct table_methods **methods, void **state,
                        struct failure *failure) {
    static const struct table_methods pipemap_methods = {
        .lookup = pipemap_lookup, .close = tables_close, .changed = tables_changed};
    *methods = &pipemap_methods;
    return tables_open(request, state, failure);
}

/* ---- proxy */

static enum table_result proxy_lookup(void *state, struct str key, struct buf *value, struct failure *failure) {
    struct tables *tables = state;
    return table_lookup(tables->items[0], key, value, failure);
}

static bool proxy_each(void *state, bool (*each)(void *context, struct str key, struct str value), void *context,
                       struct failure *failure) {
    struct tables *tables = state;
    return table_each(tables->items[0], each, context, failure);
}

bool table_proxy_open(const struct table_request *request, const struct table_methods **methods, void **state,
                      struct failure *failure) {
    static const struct table_methods pattern_methods = {
        .lookup = proxy_lookup, .close = tables_close, .changed = tables_changed, .each = proxy_each};
    static const struct table_methods fixed_methods = {.lookup = proxy_lookup,
                                                       .close = tables_close,
                                                       .changed = tables_changed,
                                                       .each = proxy_each,
                                                       .fixed_keys = true};
    struct tables *tables = MEMORY_NEW(struct tables);
    if (!tables_add(tables, request, request->name, failure)) {
        tables_close(tables);
        return false;
    }
    *methods = table_has_fixed_keys(tables->items[0]) ? &fixed_methods : &pattern_methods;
    *state = tables;
    return true;
}
