/* sql_query: the query of an SQL source, with places for the one who logs in, as a
 * statement with parameters.
 *
 * The values never become part of the statement. A place stands by itself (login = %u)
 * or within quotes, as in every tutorial (login = '%u', mail = '%n@%d'): the quoted text
 * as a whole is then one parameter. Places in comments and in quoted identifiers are
 * refused, and so are places in the quotes that have escapes of their own (E'...'). Pure. */
#ifndef TERN_SQL_QUERY_H
#define TERN_SQL_QUERY_H

#include "memory.h"
#include "source_template.h"

#define SQL_PARAMETERS_MAX 16
#define SQL_STATEMENT_MAX  ((size_t)8192)

struct sql_query {
    struct str statement; /* NUL-terminated; places are $1, $2, ... or ?1, ?2, ... */
    struct str templates[SQL_PARAMETERS_MAX];
    size_t count;
};

struct sql_values {
    char *values[SQL_PARAMETERS_MAX]; /* NUL-terminated, in the arena */
    size_t count;
};

/* mark: '$' or '?'. Texts live in the arena. False with what is wrong, *query untouched. */
MUST_USE bool sql_query_parse(struct str text, char mark, struct arena *arena, struct sql_query *query,
                              struct failure *failure);
/* The parameters for a question. */
MUST_USE enum source_template_result
sql_query_values(const struct sql_query *query, const struct source_question *question, struct sql_values *values);

#endif
