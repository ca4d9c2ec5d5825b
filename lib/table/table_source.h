/* The text sources of tables: map format (key whitespace value) and aliases
 * format (name: value). Pure: a cursor over bytes in memory. */
#ifndef TERN_TABLE_SOURCE_H
#define TERN_TABLE_SOURCE_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "logical_lines.h"
#include "str.h"

enum table_source_format {
    TABLE_SOURCE_MAP,     /* postmap: the key is kept as it stands, quotes too */
    TABLE_SOURCE_ALIASES, /* aliases(5): the name is unquoted, the value is checked as a list of members */
};

struct table_source {
    struct logical_lines lines;
    enum table_source_format format;
    struct buf key; /* the unquoted name of an alias */
};

struct table_entry {
    struct str key;   /* both live until the next call */
    struct str value; /* trimmed, continuation lines joined */
    size_t line;      /* where the entry starts, from 1 */
};

enum table_source_result {
    TABLE_SOURCE_ENTRY,
    TABLE_SOURCE_END,
    TABLE_SOURCE_MALFORMED, /* this entry: failure says why, entry->line where; the next call goes on behind it */
};

/* A cursor over text, which must stay until table_source_finish. */
void table_source_start(struct table_source *source, enum table_source_format format, struct str text);
MUST_USE enum table_source_result table_source_next(struct table_source *source, struct table_entry *entry,
                                                    struct failure *failure);
void table_source_finish(struct table_source *source);

#endif
