/* Lookup tables: a question (key) to a named source (hash:/etc/tern/access,
 * pcre:/etc/tern/header_checks, inline:{...}), answered by bytes, by "not in
 * there", or by "cannot say now".
 *
 * The third answer is a type of its own so that no caller can mistake a table
 * that is unavailable for one that has no entry: that mistake bounces good mail
 * or lets bad mail pass. A table is used by one thread at a time. */
#ifndef TERN_TABLE_H
#define TERN_TABLE_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"

enum table_result {
    TABLE_FOUND,  /* the value was appended */
    TABLE_ABSENT, /* the table answered: there is no such entry */
    TABLE_RETRY,  /* the table did not answer: defer, never decide */
};

/* How a table is used; given when it is opened. */
enum table_flags {
    TABLE_FOLD = 1 << 0, /* keys are lower-cased, in types whose entries are fixed strings */
    TABLE_UTF8 = 1 << 1, /* patterns see characters, not bytes; fixed keys that are not UTF-8 are absent */
    /* The key comes from a stranger and the value decides about files, commands
     * or rights: a pattern's $1 would let the stranger write it. Rules with a
     * substitution are left out, with a warning. */
    TABLE_NO_SUBSTITUTION = 1 << 2,
};

struct table;

/* Opens "type:name". False with the reason when the type is unknown, the text
 * malformed, or the source cannot be read. Reads files: blocking. A rule that is
 * malformed is left out and told by table_warnings. */
MUST_USE bool table_open(struct str type_name, unsigned flags, struct table **table, struct failure *failure);
/* The same with the source's text given in place of the file ("pcre:NAME": NAME
 * is only for warnings). For types that read text files; pure but for nested tables. */
MUST_USE bool table_open_text(struct str type_name, struct str text, unsigned flags, struct table **table,
                              struct failure *failure);
/* Closes and sets *table to NULL; NULL is accepted. */
void table_close(struct table **table);

/* Looks key up. On TABLE_FOUND the value is appended to *value (which may have a
 * limit: a value over it is TABLE_RETRY); on TABLE_RETRY failure has the reason. */
MUST_USE enum table_result table_lookup(struct table *table, struct str key, struct buf *value,
                                        struct failure *failure);

/* True if the source is no longer the file that was opened (other file, time or
 * size): open it anew. One stat() a file; false for types without files. */
bool table_changed(const struct table *table);

/* What was wrong in the source, one "FILE, line N: text" a line; empty if
 * nothing. The caller logs it. */
struct str table_warnings(const struct table *table);

/* True if entries are fixed strings, so that asking for parts of a name (parent
 * domains) makes sense; false for patterns and the like. */
bool table_has_fixed_keys(const struct table *table);

/* Calls each(context, key, value) for every entry until it returns false. False
 * with the reason if the type has no list of entries or reading failed. */
MUST_USE bool table_each(struct table *table, bool (*each)(void *context, struct str key, struct str value),
                         void *context, struct failure *failure);

#endif
