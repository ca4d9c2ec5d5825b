/* Match lists: items parsed once, asked in order. */
#include "ip_prefix.h"
#include "match_list.h"
#include "memory.h"
#include "table.h"
#include "table_file.h"
#include "table_words.h"

#define ITEM_FILE_MAX   ((size_t)16 << 20)
#define FILE_DEPTH_MAX  8
#define ITEMS_MAX       1000000

enum item_kind {
    ITEM_NAME,    /* equal; with MATCH_LIST_PARENT also its subdomains */
    ITEM_SUFFIX,  /* .domain: its subdomains */
    ITEM_NETWORK, /* address or network */
    ITEM_TABLE,
    ITEM_BROKEN, /* a file that could not be read: MATCH_RETRY */
};

struct item {
    enum item_kind kind;
    bool negated;
    char *text; /* name, suffix, or what table and file are called */
    struct ip_prefix network;
    struct table *table; /* NULL: did not open */
    struct failure *why; /* for a table or file that did not open */
};

struct list_file {
    char *path;
    struct table_stamp stamp;
};

struct match_list {
    struct item *items;
    size_t count;
    size_t capacity;
    struct list_file *files;
    size_t file_count;
    unsigned flags;
};

static struct item *add_item(struct match_list *list, enum item_kind kind, bool negated, struct str text) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        list->items = memory_resize(list->items, list->capacity, sizeof list->items[0]);
    }
    struct item *item = &list->items[list->count++];
    *item = (struct item){.kind = kind, .negated = negated, .text = memory_copy_string(text)};
    return item;
}

static bool parse_value(struct match_list *list, struct str value, bool negated, unsigned depth,
                        struct failure *failure);

/* The items of a file, without its comments. Lines need not be whole lists. */
static bool parse_file(struct match_list *list, struct str text, bool negated, unsigned depth,
                       struct failure *failure) {
    while (text.length > 0) {
        struct str line = text;
        if (!str_cut(text, '\n', &line, &text)) text = STR_EMPTY;
        line = str_trim(line);
        if (line.length == 0 || line.data[0] == '#') continue;
        if (!parse_value(list, line, negated, depth, failure)) return false;
    }
    return true;
}

static bool add_file(struct match_list *list, struct str path, bool negated, unsigned depth,
                     struct failure *failure) {
    struct buf text = {0};
    struct table_stamp stamp;
    struct failure why = {0};
    if (depth >= FILE_DEPTH_MAX) return failure_set(failure, "%.*s: files name each other too deep", STR_ARGS(path));
    bool sound = true;
    if (table_file_read(path, ITEM_FILE_MAX, &text, &stamp, &why)) {
        list->files = memory_resize(list->files, list->file_count + 1, sizeof list->files[0]);
        list->files[list->file_count++] = (struct list_file){.path = memory_copy_string(path), .stamp = stamp};
        sound = parse_file(list, buf_str(&text), negated, depth + 1, failure);
        if (!sound) (void)failure_prefix(failure, "%.*s", STR_ARGS(path));
    } else {
        struct item *item = add_item(list, ITEM_BROKEN, negated, path);
        item->why = MEMORY_NEW(struct failure);
        *item->why = why;
    }
    buf_free(&text);
    return sound;
}

static void add_table(struct match_list *list, struct str type_name, bool negated) {
    struct item *item = add_item(list, ITEM_TABLE, negated, type_name);
    struct failure why = {0};
    if (table_open(type_name, TABLE_FOLD, &item->table, &why)) return;
    item->why = MEMORY_NEW(struct failure);
    *item->why = why;
}

/* An item that can only be meant as an address. */
static bool looks_like_address(struct str text) {
    if (text.data[0] == '[') return true;
    for (size_t i = 0; i < text.length; i++)
        if (!ascii_is_digit(text.data[i]) && text.data[i] != '.' && text.data[i] != '/') return false;
    return true;
}

static bool add_network(struct match_list *list, struct str text, bool negated, struct failure *failure) {
    struct ip_prefix network;
    switch (ip_prefix_parse(text, &network)) {
    case IP_PREFIX_OK: add_item(list, ITEM_NETWORK, negated, text)->network = network; return true;
    case IP_PREFIX_MALFORMED: break;
    case IP_PREFIX_HOST_BITS:
        return failure_set(failure, "non-null host address bits in \"%.*s\"", STR_ARGS(text));
    }
    return failure_set(failure, "\"%.*s\" is no address or network", STR_ARGS(text));
}

static bool parse_item(struct match_list *list, struct str text, bool negated, unsigned depth,
                       struct failure *failure) {
    struct ip_prefix network;
    bool names_only = (list->flags & MATCH_LIST_NAMES) != 0;
    while (text.length > 0 && text.data[0] == '!') {
        negated = !negated;
        text = str_from_offset(text, 1);
    }
    if (text.length == 0) return failure_set(failure, "nothing after \"!\"");
    if (list->count >= ITEMS_MAX) return failure_set(failure, "more than %d items", ITEMS_MAX);
    if (text.data[0] == '/') return add_file(list, text, negated, depth, failure);
    if (text.data[0] != '[' && str_find(text, ':') != STR_NONE &&
        (names_only || ip_prefix_parse(text, &network) == IP_PREFIX_MALFORMED)) {
        add_table(list, text, negated);
        return true;
    }
    if (!names_only && (looks_like_address(text) || str_find(text, ':') != STR_NONE))
        return add_network(list, text, negated, failure);
    if ((list->flags & MATCH_LIST_ADDRESSES) != 0)
        return failure_set(failure, "\"%.*s\" is no address or network", STR_ARGS(text));
    add_item(list, text.data[0] == '.' ? ITEM_SUFFIX : ITEM_NAME, negated, text);
    return true;
}

static bool parse_value(struct match_list *list, struct str value, bool negated, unsigned depth,
                        struct failure *failure) {
    for (;;) {
        struct str word;
        enum table_word taken = table_word_next(&value, &word);
        if (taken == TABLE_WORD_END) return true;
        if (taken == TABLE_WORD_UNBALANCED) return failure_set(failure, "braces are not balanced");
        (void)table_word_unbrace(word, &word);
        if (word.length > 0 && !parse_item(list, word, negated, depth, failure)) return false;
    }
}

bool match_list_open(struct str value, unsigned flags, struct match_list **list, struct failure *failure) {
    struct match_list *result = MEMORY_NEW(struct match_list);
    result->flags = flags;
    if (!parse_value(result, value, false, 0, failure)) {
        match_list_close(&result);
        return false;
    }
    *list = result;
    return true;
}

void match_list_close(struct match_list **list) {
    if (*list == NULL) return;
    for (size_t i = 0; i < (*list)->count; i++) {
        struct item *item = &(*list)->items[i];
        table_close(&item->table);
        MEMORY_FREE(item->why);
        MEMORY_FREE(item->text);
    }
    for (size_t i = 0; i < (*list)->file_count; i++) MEMORY_FREE((*list)->files[i].path);
    MEMORY_FREE((*list)->items);
    MEMORY_FREE((*list)->files);
    MEMORY_FREE(*list);
}

bool match_list_changed(const struct match_list *list) {
    for (size_t i = 0; i < list->file_count; i++)
        if (table_stamp_changed(list->files[i].path, &list->files[i].stamp)) return true;
    for (size_t i = 0; i < list->count; i++) {
        const struct item *item = &list->items[i];
        if (item->why != NULL || (item->table != NULL && table_changed(item->table))) return true;
    }
    return false;
}

/* ---- asking */

/* A name or address that is asked for; either may be empty. */
struct question {
    struct str name;
    struct str address;
    struct ip_prefix parsed;
    bool is_address; /* parsed is set */
    unsigned flags;
};

static enum match_result from_table(enum table_result result) {
    switch (result) {
    case TABLE_FOUND: return MATCH_YES;
    case TABLE_ABSENT: return MATCH_NO;
    case TABLE_RETRY: break;
    }
    return MATCH_RETRY;
}

static enum match_result ask(struct table *table, struct str key, struct failure *failure) {
    struct buf value = {0};
    enum table_result result = table_lookup(table, key, &value, failure);
    buf_free(&value);
    return from_table(result);
}

/* The name, then its parents: "domain" with MATCH_LIST_PARENT, else ".domain". */
static enum match_result ask_name(struct table *table, struct str name, unsigned flags, struct failure *failure) {
    enum match_result result = ask(table, name, failure);
    if (!table_has_fixed_keys(table)) return result;
    while (result == MATCH_NO) {
        size_t from = name.length > 0 && name.data[0] == '.' ? 1 : 0;
        size_t dot = str_find(str_from_offset(name, from), '.');
        if (dot == STR_NONE) break;
        dot += from;
        name = str_from_offset(name, (flags & MATCH_LIST_PARENT) != 0 ? dot + 1 : dot);
        if (name.length == 0) break;
        result = ask(table, name, failure);
    }
    return result;
}

static bool name_matches(const struct item *item, struct str name, unsigned flags) {
    struct str text = str_from(item->text);
    if (name.length == 0) return false;
    if (item->kind == ITEM_SUFFIX) return name.length > text.length && str_ends_nocase(name, text);
    if (str_equal_nocase(name, text)) return true;
    return (flags & MATCH_LIST_PARENT) != 0 && name.length > text.length &&
           name.data[name.length - text.length - 1] == '.' && str_ends_nocase(name, text);
}

static enum match_result item_matches(const struct item *item, const struct question *question,
                                      struct failure *failure) {
    enum match_result result = MATCH_NO;
    if (item->why != NULL) {
        if (failure != NULL) *failure = *item->why;
        return MATCH_RETRY;
    }
    switch (item->kind) {
    case ITEM_NAME:
    case ITEM_SUFFIX: return name_matches(item, question->name, question->flags) ? MATCH_YES : MATCH_NO;
    case ITEM_NETWORK:
        return question->is_address && ip_prefix_contains(&item->network, &question->parsed) ? MATCH_YES : MATCH_NO;
    case ITEM_TABLE:
        if (question->name.length > 0) result = ask_name(item->table, question->name, question->flags, failure);
        if (result == MATCH_NO && question->address.length > 0) result = ask(item->table, question->address, failure);
        return result;
    case ITEM_BROKEN: break;
    }
    return MATCH_RETRY;
}

static enum match_result match(const struct match_list *list, const struct question *question,
                               struct failure *failure) {
    for (size_t i = 0; i < list->count; i++) {
        const struct item *item = &list->items[i];
        enum match_result result = item_matches(item, question, failure);
        if (result == MATCH_RETRY) return MATCH_RETRY;
        if (result == MATCH_YES) return item->negated ? MATCH_NO : MATCH_YES;
    }
    return MATCH_NO;
}

enum match_result match_list_name(struct match_list *list, struct str name, struct failure *failure) {
    return match(list, &(struct question){.name = name, .address = STR_EMPTY, .flags = list->flags}, failure);
}

enum match_result match_list_address(struct match_list *list, struct str address, struct failure *failure) {
    return match_list_host(list, STR_EMPTY, address, failure);
}

enum match_result match_list_host(struct match_list *list, struct str name, struct str address,
                                  struct failure *failure) {
    struct question question = {.name = name, .address = address, .flags = list->flags};
    question.is_address = ip_address_parse(address, &question.parsed);
    if (!question.is_address) question.address = STR_EMPTY;
    return match(list, &question, failure);
}
