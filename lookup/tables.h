/* tables: every table that the configuration names, opened once whoever names it.
 *
 * A table that does not open answers TABLE_RETRY with the reason and is tried
 * again when it is asked for next (at most once a second). One whose file changed
 * is opened anew beside the old, on a helper thread, and then takes its place; if
 * it does not open, the old content stays. "unix:passwd.byname" is the system's
 * accounts. */
#ifndef TERN_LOOKUP_TABLES_H
#define TERN_LOOKUP_TABLES_H

#include "accounts.h"
#include "clock.h"
#include "config.h"
#include "match_list.h"
#include "table.h"
#include "task.h"

struct tables;

/* One table by "type:name" and flags. */
struct source {
    struct source *next;
    char *name;
    unsigned flags;
    struct table *table;    /* NULL: not open */
    struct failure failure; /* why not */
    deadline try_again;
    struct task_queue waiting; /* who waits for the opening that is under way */
    bool opening;
    bool accounts;    /* unix:passwd.byname */
    bool is_pattern;  /* is not asked for parts of an address */
    bool complained;  /* the failure is in the log */
    bool owner_known; /* uid and gid of the file that the table is made of; root for main.cf itself */
    uint32_t owner_uid, owner_gid;
};

/* The tables of one parameter, in order. */
struct table_maps {
    const char *parameter;
    struct source **sources;
    size_t count;
    bool malformed;
    struct failure failure;
};

/* A match list of one parameter. */
struct domain_list {
    struct domain_list *next;
    const char *parameter;
    struct str value;
    unsigned flags;
    struct match_list *list; /* NULL: not open */
    struct failure failure;
    deadline try_again;
    int64_t pause; /* ms until a list with a broken part is opened anew */
    struct task_queue waiting;
    bool opening, complained;
};

/* Both are borrowed for as long as the tables live. Opens nothing yet. */
struct tables *tables_create(const struct config *config, struct accounts *accounts);
void tables_destroy(struct tables **tables);

/* The tables of a parameter; made once for each parameter. NULL if there is no such parameter. */
struct table_maps *tables_of(struct tables *tables, struct str parameter);
struct domain_list *tables_list(struct tables *tables, struct str parameter);
/* A single table by name; made once. */
struct table_maps *tables_single(struct tables *tables, struct str type_name);

/* Tables that may be asked for by name. */
void tables_permit(struct tables *tables, struct str type_name);
bool tables_is_permitted(const struct tables *tables, struct str type_name);

/* True if the parameter names any table. */
static inline bool maps_are_set(const struct table_maps *maps) {
    return maps->count > 0 || maps->malformed;
}
/* Asks the tables in order. partial: the key is a part of an address, for which
 * patterns are not asked. *source, if not NULL, becomes who answered. */
MUST_USE enum table_result maps_lookup(struct tables *tables, struct table_maps *maps, struct str key, bool partial,
                                       struct buf *value, struct source **source, struct failure *failure);
/* A name against the list; with address also a host's address. Either may be empty. */
MUST_USE enum match_result list_match(struct domain_list *list, struct str name, struct str address,
                                      struct failure *failure);

/* Opens what is not open. Suspends. */
void maps_open(struct table_maps *maps);
void list_open(struct domain_list *list);

/* True if a file changed, or a list is due for another try: call tables_refresh. A stat() a file. */
bool tables_have_changed(const struct tables *tables);
/* Opens anew what changed. Suspends. True if answers may now be others. */
bool tables_refresh(struct tables *tables);
/* Goes up with every change. */
uint64_t tables_generation(const struct tables *tables);

#endif
