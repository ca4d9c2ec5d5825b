/* Opening, asking and renewing tables: see tables.h. */
#include "tables.h"
#include "hash.h"
#include "log.h"
#include "memory.h"
#include "source_owner.h"
#include "table_file.h"
#include "table_words.h"
#include <errno.h>

#define TRY_AGAIN_AFTER   1000  /* ms */
#define RENEW_AGAIN_AFTER 10000 /* ms, for a table of which older content is in use */
#define LIST_PAUSE_MAX    60000 /* ms */
#define PASSWD_FILE       STR("/etc/passwd")

struct tables {
    const struct config *config;
    struct accounts *accounts;
    struct source *sources;
    struct domain_list *lists;
    struct map *by_source;    /* name and flags */
    struct map *by_parameter; /* struct table_maps */
    struct map *by_list;      /* struct domain_list */
    struct map *by_name;      /* struct table_maps of one table */
    struct map *permitted;
    struct table_stamp passwd;
    uint64_t generation;
};

/* ---- making */

struct tables *tables_create(const struct config *config, struct accounts *accounts) {
    struct tables *tables = MEMORY_NEW(struct tables);
    tables->config = config;
    tables->accounts = accounts;
    tables->by_source = map_create();
    tables->by_parameter = map_create();
    tables->by_list = map_create();
    tables->by_name = map_create();
    tables->permitted = map_create();
    tables->passwd = table_stamp_of(PASSWD_FILE);
    tables->generation = 1;
    return tables;
}

static void free_maps(struct map **map) {
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(*map, &cursor, &key, &value)) {
        struct table_maps *maps = value;
        MEMORY_FREE(maps->sources);
        MEMORY_FREE(maps);
    }
    map_destroy(map);
}

void tables_destroy(struct tables **tables) {
    if (!*tables) return;
    free_maps(&(*tables)->by_parameter);
    free_maps(&(*tables)->by_name);
    map_destroy(&(*tables)->by_source);
    map_destroy(&(*tables)->by_list);
    map_destroy(&(*tables)->permitted);
    while ((*tables)->sources) {
        struct source *source = (*tables)->sources;
        (*tables)->sources = source->next;
        table_close(&source->table);
        MEMORY_FREE(source->name);
        MEMORY_FREE(source);
    }
    while ((*tables)->lists) {
        struct domain_list *list = (*tables)->lists;
        (*tables)->lists = list->next;
        match_list_close(&list->list);
        MEMORY_FREE(list);
    }
    MEMORY_FREE(*tables);
}

/* Regular expressions see whole addresses only, as in Postfix: "@domain" and bare
 * names are questions for tables of fixed strings. */
static bool names_pattern(struct str name) {
    return str_find_str(name, STR("pcre:")) != STR_NONE || str_find_str(name, STR("regexp:")) != STR_NONE;
}

static struct source *source_of(struct tables *tables, struct str name, unsigned flags) {
    struct buf key = {0};
    buf_printf(&key, "%u ", flags);
    buf_append(&key, name);
    struct source *source = map_get(tables->by_source, buf_str(&key));
    if (!source) {
        source = MEMORY_NEW(struct source);
        source->name = memory_copy_string(name);
        source->flags = flags;
        source->is_pattern = names_pattern(name);
        if (str_starts(name, STR("proxy:"))) name = str_from_offset(name, 6);
        source->accounts = str_equal(name, STR("unix:passwd.byname"));
        source->next = tables->sources;
        tables->sources = source;
        map_put(tables->by_source, buf_str(&key), source);
    }
    buf_free(&key);
    return source;
}

static bool add_source(struct tables *tables, struct table_maps *maps, struct str name, unsigned flags) {
    struct str type, rest;
    if (!str_cut(name, ':', &type, &rest))
        return failure_set(&maps->failure, "\"%.*s\" is not of the form type:name", STR_ARGS(name));
    maps->sources = memory_resize(maps->sources, maps->count + 1, sizeof(struct source *));
    maps->sources[maps->count++] = source_of(tables, name, flags);
    return true;
}

static struct table_maps *make_maps(struct tables *tables, const char *parameter, struct str value, unsigned flags) {
    struct table_maps *maps = MEMORY_NEW(struct table_maps);
    maps->parameter = parameter;
    for (;;) {
        struct str word;
        enum table_word taken = table_word_next(&value, &word);
        if (taken == TABLE_WORD_END) return maps;
        (void)table_word_unbrace(word, &word);
        if (taken == TABLE_WORD_UNBALANCED) failure_set(&maps->failure, "braces are not balanced");
        if (taken == TABLE_WORD_UNBALANCED || !add_source(tables, maps, word, flags)) {
            maps->malformed = true;
            return maps;
        }
    }
}

/* Where a stranger's key could write the value that decides about files, commands,
 * rights or routes, patterns may not put pieces of the key into it. */
static unsigned table_flags_for(const struct tables *tables, struct str parameter) {
    static const struct str no_substitution[] = {STR_INIT("alias_maps"),       STR_INIT("virtual_mailbox_maps"),
                                                 STR_INIT("virtual_uid_maps"), STR_INIT("virtual_gid_maps"),
                                                 STR_INIT("transport_maps"),   STR_INIT("mailbox_command_maps")};
    unsigned flags = TABLE_FOLD | (tables->config->smtputf8_enable ? TABLE_UTF8 : 0u);
    for (size_t i = 0; i < ARRAY_LENGTH(no_substitution); i++)
        if (str_equal(no_substitution[i], parameter)) return flags | TABLE_NO_SUBSTITUTION;
    return flags;
}

struct table_maps *tables_of(struct tables *tables, struct str parameter) {
    struct table_maps *maps = map_get(tables->by_parameter, parameter);
    if (maps) return maps;
    const struct parameter *row = parameter_find(parameter);
    struct config_number scratch;
    if (!row || row->type != PARAMETER_TABLES || !(row->scope & SCOPE_LOOKUP)) return NULL;
    maps = make_maps(tables, row->name.data, config_value(tables->config, row, &scratch),
                     table_flags_for(tables, parameter));
    map_put(tables->by_parameter, parameter, maps);
    return maps;
}

struct table_maps *tables_single(struct tables *tables, struct str type_name) {
    struct table_maps *maps = map_get(tables->by_name, type_name);
    if (maps) return maps;
    maps = MEMORY_NEW(struct table_maps);
    maps->parameter = "";
    maps->malformed = !add_source(tables, maps, type_name, table_flags_for(tables, STR_EMPTY));
    map_put(tables->by_name, type_name, maps);
    return maps;
}

/* parent_domain_matches_subdomains names the lists in which a domain stands for its subdomains. */
static bool parents_match(const struct config *config, struct str parameter) {
    struct str rest = config->parent_domain_matches_subdomains, word;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (str_equal(word, parameter)) return true;
    return false;
}

struct domain_list *tables_list(struct tables *tables, struct str parameter) {
    struct domain_list *list = map_get(tables->by_list, parameter);
    if (list) return list;
    const struct parameter *row = parameter_find(parameter);
    struct config_number scratch;
    if (!row || row->type != PARAMETER_LIST || !(row->scope & SCOPE_LOOKUP)) return NULL;
    list = MEMORY_NEW(struct domain_list);
    list->parameter = row->name.data;
    list->value = config_value(tables->config, row, &scratch);
    if (parents_match(tables->config, parameter)) list->flags |= MATCH_LIST_PARENT;
    if (str_ends(parameter, STR("_domains")) || str_equal(parameter, STR("mydestination")))
        list->flags |= MATCH_LIST_NAMES;
    list->next = tables->lists;
    tables->lists = list;
    map_put(tables->by_list, parameter, list);
    return list;
}

void tables_permit(struct tables *tables, struct str type_name) {
    map_put(tables->permitted, type_name, tables);
}

bool tables_is_permitted(const struct tables *tables, struct str type_name) {
    return map_get(tables->permitted, type_name) != NULL;
}

/* ---- opening, on helper threads */

struct source_opening {
    const struct source *source;
    struct table *table;
    struct failure failure;
    bool owner_known;
    uint32_t uid, gid;
};

/* An owner that cannot be seen now would stay unknown until the table changes, and so deliveries in its name wait:
 * then the table is not opened either, and tried again. */
static void see_owner(struct source_opening *opening) {
    const char *name = opening->source->name;
    errno = 0;
    opening->owner_known = source_owner(str_from(name), &opening->uid, &opening->gid);
    if (opening->owner_known || !failure_is_local(errno)) return;
    failure_set_errno(&opening->failure, errno, "cannot see whose %s is", name);
    table_close(&opening->table);
}

static void open_source(void *argument) {
    struct source_opening *opening = argument;
    if (!table_open(str_from(opening->source->name), opening->source->flags, &opening->table, &opening->failure))
        opening->table = NULL;
    else
        see_owner(opening);
}

static void log_lines(const char *about, struct str text) {
    struct str line;
    while (str_next_word(&text, "\n", &line))
        log_warning("%s: %.*s", about, STR_ARGS(line));
}

static void take_source(struct source *source, const struct source_opening *opened) {
    source->try_again = deadline_in(TRY_AGAIN_AFTER);
    if (!opened->table) {
        /* What was read before is better than nothing: it stays. */
        if (!source->table)
            source->failure = opened->failure;
        else
            source->try_again = deadline_in(RENEW_AGAIN_AFTER);
        if (!source->complained)
            log_warning("%s; %s", opened->failure.text,
                        source->table ? "what was read before stays in use"
                                      : "who needs it is told to try again later");
        source->complained = true;
        return;
    }
    source->try_again = 0; /* who is added a moment after it was read is no unknown user */
    table_close(&source->table);
    source->table = opened->table;
    source->owner_known = opened->owner_known;
    source->owner_uid = opened->uid;
    source->owner_gid = opened->gid;
    source->complained = false;
    log_lines(source->name, table_warnings(source->table));
}

/* Opens or opens anew; if another task is at it, waits for that. */
static bool source_open(struct source *source) {
    if (source->opening) {
        while (source->opening && task_queue_wait(&source->waiting, DEADLINE_NEVER) == WAIT_READY)
            continue;
        return source->table != NULL;
    }
    struct source_opening opening = {.source = source};
    source->opening = true;
    task_run_blocking(open_source, &opening);
    take_source(source, &opening);
    source->opening = false;
    task_queue_wake_all(&source->waiting);
    return opening.table != NULL;
}

struct list_opening {
    const struct domain_list *list;
    struct match_list *opened;
    struct failure failure;
    bool broken;
};

static void open_list(void *argument) {
    struct list_opening *opening = argument;
    if (!match_list_open(opening->list->value, opening->list->flags, &opening->opened, &opening->failure))
        opening->opened = NULL;
    else
        opening->broken = match_list_changed(opening->opened);
}

static void take_list(struct domain_list *list, const struct list_opening *opening) {
    if (opening->opened) {
        match_list_close(&list->list);
        list->list = opening->opened;
    } else {
        list->failure = opening->failure;
    }
    bool good = opening->opened && !opening->broken;
    if (good)
        list->pause = 0;
    else
        list->pause = list->pause == 0                   ? TRY_AGAIN_AFTER
                      : list->pause * 2 > LIST_PAUSE_MAX ? LIST_PAUSE_MAX
                                                         : list->pause * 2;
    list->try_again = deadline_in(list->pause);
    if (!opening->opened && !list->complained) log_warning("%s: %s", list->parameter, opening->failure.text);
    list->complained = !opening->opened;
}

void list_open(struct domain_list *list) {
    if (list->opening) {
        while (list->opening && task_queue_wait(&list->waiting, DEADLINE_NEVER) == WAIT_READY)
            continue;
        return;
    }
    struct list_opening opening = {.list = list};
    list->opening = true;
    task_run_blocking(open_list, &opening);
    take_list(list, &opening);
    list->opening = false;
    task_queue_wake_all(&list->waiting);
}

void maps_open(struct table_maps *maps) {
    for (size_t i = 0; i < maps->count; i++)
        if (!maps->sources[i]->table && !maps->sources[i]->accounts) (void)source_open(maps->sources[i]);
    if (maps->malformed) log_warning("%s: %s", maps->parameter, maps->failure.text);
}

/* ---- asking */

static enum table_result ask_accounts(struct accounts *accounts, struct str key, struct buf *value,
                                      struct failure *failure) {
    char folded[256];
    if (key.length > sizeof folded || (key.length > 0 && key.data[0] == '#')) return TABLE_ABSENT;
    for (size_t i = 0; i < key.length; i++)
        folded[i] = ascii_lower(key.data[i]);
    switch (accounts_find(accounts, str_make(folded, key.length), NULL, NULL, failure)) {
    case ACCOUNT_FOUND:
        return buf_append(value, key) ? TABLE_FOUND : TABLE_RETRY;
    case ACCOUNT_ABSENT:
        return TABLE_ABSENT;
    case ACCOUNT_RETRY:
        break;
    }
    return TABLE_RETRY;
}

static enum table_result ask_source(struct tables *tables, struct source *source, struct str key, struct buf *value,
                                    struct failure *failure) {
    if (source->accounts) return ask_accounts(tables->accounts, key, value, failure);
    if (!source->table && deadline_left(source->try_again) == 0) (void)source_open(source);
    if (source->table) return table_lookup(source->table, key, value, failure);
    if (failure) *failure = source->failure;
    return TABLE_RETRY;
}

enum table_result maps_lookup(struct tables *tables, struct table_maps *maps, struct str key, bool partial,
                              struct buf *value, struct source **source, struct failure *failure) {
    enum table_result result = TABLE_ABSENT;
    if (maps->malformed) {
        if (failure) *failure = maps->failure;
        result = TABLE_RETRY;
    }
    for (size_t i = 0; i < maps->count && result == TABLE_ABSENT; i++) {
        if (partial && maps->sources[i]->is_pattern) continue;
        result = ask_source(tables, maps->sources[i], key, value, failure);
        if (result == TABLE_FOUND && source) *source = maps->sources[i];
    }
    if (result == TABLE_RETRY && maps->parameter[0]) failure_prefix(failure, "%s", maps->parameter);
    return result;
}

enum match_result list_match(struct domain_list *list, struct str name, struct str address, struct failure *failure) {
    enum match_result result = MATCH_RETRY;
    if (!list->list && deadline_left(list->try_again) == 0) list_open(list);
    if (list->list)
        result = match_list_host(list->list, name, address, failure);
    else if (failure)
        *failure = list->failure;
    if (result == MATCH_RETRY) failure_prefix(failure, "%s", list->parameter);
    return result;
}

/* ---- renewing */

static bool list_is_due(const struct domain_list *list) {
    return list->list && match_list_changed(list->list) && deadline_left(list->try_again) == 0;
}

static bool source_is_due(const struct source *source) {
    return source->table && deadline_left(source->try_again) == 0 && table_changed(source->table);
}

static bool passwd_changed(const struct tables *tables) {
    struct table_stamp now = table_stamp_of(PASSWD_FILE);
    return !table_stamp_equal(&now, &tables->passwd);
}

bool tables_have_changed(const struct tables *tables) {
    for (const struct source *source = tables->sources; source; source = source->next)
        if (source_is_due(source)) return true;
    for (const struct domain_list *list = tables->lists; list; list = list->next)
        if (list_is_due(list)) return true;
    return passwd_changed(tables);
}

bool tables_refresh(struct tables *tables) {
    bool changed = passwd_changed(tables);
    if (changed) {
        accounts_clear(tables->accounts);
        tables->passwd = table_stamp_of(PASSWD_FILE);
    }
    for (struct source *source = tables->sources; source; source = source->next)
        if (source_is_due(source)) changed |= source_open(source);
    for (struct domain_list *list = tables->lists; list; list = list->next) {
        if (!list_is_due(list)) continue;
        bool first = list->pause == 0;
        list_open(list);
        changed |= first || list->pause == 0;
    }
    if (changed) tables->generation++;
    return changed;
}

uint64_t tables_generation(const struct tables *tables) {
    return tables->generation;
}
