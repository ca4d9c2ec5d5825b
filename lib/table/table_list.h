/* An ordered list of tables, as a parameter names them ("hash:/etc/tern/x,
 * pcre:/etc/tern/y inline:{ {k = v} }"): the first table that has the key wins.
 *
 * A table that does not answer stops the search with TABLE_RETRY: what a later
 * table says must not hide what the earlier one would have said. */
#ifndef TERN_TABLE_LIST_H
#define TERN_TABLE_LIST_H

#include "table.h"

struct table_list;

/* Parses and opens. False only for a value that cannot be a list of tables (no
 * "type:name", unbalanced braces, unknown type). A table that is named rightly
 * but does not open (its file is not there yet) stays in the list: it answers
 * TABLE_RETRY with the reason and is tried again as table_list_refresh is called. */
MUST_USE bool table_list_open(struct str value, unsigned flags, struct table_list **list, struct failure *failure);
void table_list_close(struct table_list **list);

/* As table_lookup, over the list. An empty list has nothing. *source, if not
 * NULL, becomes the name of the table that answered (lives as long as the list). */
MUST_USE enum table_result table_list_lookup(struct table_list *list, struct str key, struct buf *value,
                                             struct str *source, struct failure *failure);

/* Opens anew what changed on disk or did not open before; a changed table that
 * does not open keeps its old content. Blocking. Returns how many were opened. */
size_t table_list_refresh(struct table_list *list);

size_t table_list_count(const struct table_list *list);
/* Warnings and open failures of all tables, a line each, appended to *text. */
void table_list_warnings(const struct table_list *list, struct buf *text);

#endif
