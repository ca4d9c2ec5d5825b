/* An ordered list of tables from a parameter's value. */
#include "memory.h"
#include "table_list.h"
#include "table_types.h"
#include "table_words.h"

struct list_item {
    char *name;
    struct table *table;    /* NULL: did not open */
    struct failure failure; /* why not */
};

struct table_list {
    struct list_item *items;
    size_t count;
    unsigned flags;
};

static bool item_open(struct list_item *item, unsigned flags) {
    struct table *opened;
    struct failure why = {0};
    if (!table_open(str_from(item->name), flags, &opened, &why)) {
        /* What was read before is better than nothing: it stays. */
        if (item->table == NULL) item->failure = why;
        return false;
    }
    table_close(&item->table);
    item->table = opened;
    return true;
}

static bool add_item(struct table_list *list, struct str type_name, struct failure *failure) {
    struct str type;
    struct str name;
    if (!str_cut(type_name, ':', &type, &name))
        return failure_set(failure, "\"%.*s\" is not of the form type:name", STR_ARGS(type_name));
    if (table_type_find(type) == NULL)
        return failure_set(failure, "%.*s: there is no table type \"%.*s\"", STR_ARGS(type_name), STR_ARGS(type));
    list->items = memory_resize(list->items, list->count + 1, sizeof list->items[0]);
    struct list_item *item = &list->items[list->count++];
    *item = (struct list_item){.name = memory_copy_string(type_name)};
    (void)item_open(item, list->flags);
    return true;
}

bool table_list_open(struct str value, unsigned flags, struct table_list **list, struct failure *failure) {
    struct table_list *result = MEMORY_NEW(struct table_list);
    result->flags = flags;
    for (;;) {
        struct str word;
        enum table_word taken = table_word_next(&value, &word);
        if (taken == TABLE_WORD_END) break;
        if (taken == TABLE_WORD_UNBALANCED) (void)failure_set(failure, "braces are not balanced");
        else (void)table_word_unbrace(word, &word);
        if (taken == TABLE_WORD_UNBALANCED || !add_item(result, word, failure)) {
            table_list_close(&result);
            return false;
        }
    }
    *list = result;
    return true;
}

void table_list_close(struct table_list **list) {
    if (*list == NULL) return;
    for (size_t i = 0; i < (*list)->count; i++) {
        table_close(&(*list)->items[i].table);
        MEMORY_FREE((*list)->items[i].name);
    }
    MEMORY_FREE((*list)->items);
    MEMORY_FREE(*list);
}

enum table_result table_list_lookup(struct table_list *list, struct str key, struct buf *value, struct str *source,
                                    struct failure *failure) {
    for (size_t i = 0; i < list->count; i++) {
        struct list_item *item = &list->items[i];
        enum table_result result = TABLE_RETRY;
        if (item->table != NULL) result = table_lookup(item->table, key, value, failure);
        else if (failure != NULL) *failure = item->failure;
        if (result == TABLE_ABSENT) continue;
        if (source != NULL) *source = str_from(item->name);
        return result;
    }
    return TABLE_ABSENT;
}

size_t table_list_refresh(struct table_list *list) {
    size_t opened = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct list_item *item = &list->items[i];
        if (item->table != NULL && !table_changed(item->table)) continue;
        if (item_open(item, list->flags)) opened++;
    }
    return opened;
}

size_t table_list_count(const struct table_list *list) { return list->count; }

void table_list_warnings(const struct table_list *list, struct buf *text) {
    for (size_t i = 0; i < list->count; i++) {
        const struct list_item *item = &list->items[i];
        if (item->table != NULL) buf_append(text, table_warnings(item->table));
        else buf_printf(text, "%s\n", item->failure.text);
    }
}
