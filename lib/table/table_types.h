/* The types of lookup tables: ONE list of rows (table_types.c), and what a type
 * has to provide. A new type is a row there and a file with its open function. */
#ifndef TERN_TABLE_TYPES_H
#define TERN_TABLE_TYPES_H

#include "table.h"
#include "table_file.h"

/* What a type's open function is asked for. */
struct table_request {
    struct str name;      /* what follows "type:" */
    unsigned flags;       /* enum table_flags */
    unsigned depth;       /* how many tables it is inside of (unionmap, pipemap, proxy) */
    const struct str *text; /* the source itself instead of a file to read; NULL: read the file */
    struct buf *warnings;   /* malformed rules go here, one a line (table_warn) */
    /* Opens a table within the one that is asked for; its warnings are added to those. */
    bool (*open_inner)(const struct table_request *outer, struct str type_name, struct table **table,
                       struct failure *failure);
};

struct table_methods {
    /* As table_lookup. The key is already folded where fixed_keys and TABLE_FOLD ask for it. */
    enum table_result (*lookup)(void *state, struct str key, struct buf *value, struct failure *failure);
    void (*close)(void *state);
    bool (*changed)(const void *state); /* NULL: never */
    /* NULL: the type has no list of entries. */
    bool (*each)(void *state, bool (*each)(void *context, struct str key, struct str value), void *context,
                 struct failure *failure);
    bool fixed_keys; /* entries are fixed strings: TABLE_FOLD applies */
};

struct table_type {
    struct str name;
    /* Sets *methods and *state on success; fills failure otherwise. */
    bool (*open)(const struct table_request *request, const struct table_methods **methods, void **state,
                 struct failure *failure);
    bool writable;      /* ternmap can make it */
    struct str meaning; /* what the name after the colon is: "file", "text", ... */
    struct str doc;     /* one sentence */
};

/* The rows, by name. */
/* An open table; table.c and table_open.c alone look into it. */
struct table {
    const struct table_methods *methods;
    void *state;
    char *name;
    unsigned flags;
    struct buf warnings;
    struct buf folded; /* the key in lower case, while it is looked up */
};

extern const struct table_type table_types[];
extern const size_t table_types_count;
/* The row of a name, or NULL. */
const struct table_type *table_type_find(struct str name);

/* Most tables inside one another. */
#define TABLE_DEPTH_MAX 8
/* Most bytes of all warnings of one source. */
#define TABLE_WARNINGS_MAX 16384

/* Adds "FILE, line N: text" to the warnings; the rest is dropped when they are full. */
void table_warn(struct buf *warnings, struct str file, size_t line, const char *format, ...) PRINTF_LIKE(4, 5);

/* Appends the source's bytes: the file called request->name, or request->text. */
MUST_USE bool table_request_read(const struct table_request *request, size_t limit, struct buf *text,
                                 struct table_stamp *stamp, struct failure *failure);
/* Appends key in lower case (ASCII letters; other bytes stay). */
void table_fold(struct str key, struct buf *folded);
/* The file that an lmdb table of this name is in. */
MUST_USE bool table_lmdb_path(struct str name, struct buf *path);
/* Appends a value that a lookup found: TABLE_FOUND, or TABLE_RETRY if the buf's limit forbids. */
MUST_USE enum table_result table_give(struct str found, struct buf *value, struct failure *failure);

#define TABLE_OPEN_FUNCTION(name)                                                                                      \
    bool name(const struct table_request *request, const struct table_methods **methods, void **state,                \
              struct failure *failure)
TABLE_OPEN_FUNCTION(table_lmdb_open);
TABLE_OPEN_FUNCTION(table_pcre_open);
TABLE_OPEN_FUNCTION(table_regexp_open);
TABLE_OPEN_FUNCTION(table_cidr_open);
TABLE_OPEN_FUNCTION(table_texthash_open);
TABLE_OPEN_FUNCTION(table_inline_open);
TABLE_OPEN_FUNCTION(table_static_open);
TABLE_OPEN_FUNCTION(table_environ_open);
TABLE_OPEN_FUNCTION(table_fail_open);
TABLE_OPEN_FUNCTION(table_unionmap_open);
TABLE_OPEN_FUNCTION(table_pipemap_open);
TABLE_OPEN_FUNCTION(table_randmap_open);
TABLE_OPEN_FUNCTION(table_proxy_open);

#endif
