/* list_pattern: the wildcards of LIST.
 *
 * RFC 9051 6.3.9: '*' stands for any octets, '%' for any but the hierarchy
 * delimiter. A pattern is made ready once and asked for many names; a name costs
 * its length times a 64th of the pattern's, whatever they are. */
#ifndef TERN_LIST_PATTERN_H
#define TERN_LIST_PATTERN_H

#include "str.h"

#define LIST_PATTERN_MAX 1024 /* octets that are no wildcards */

struct list_pattern;
/* Makes a pattern ready; delimiter '\0' if the hierarchy is flat. nocase: ASCII
 * letters count as equal (for INBOX). NULL if it is too long. Free with
 * list_pattern_free. */
MUST_USE struct list_pattern *list_pattern_create(struct str pattern, char delimiter, bool nocase);
void list_pattern_free(struct list_pattern **pattern);

enum list_match {
    LIST_MATCH_NONE = 0,
    LIST_MATCH_NAME = 1,     /* the name matches */
    LIST_MATCH_CHILDREN = 2, /* a name beneath it could */
};
/* Bits of enum list_match. */
unsigned list_pattern_match(const struct list_pattern *pattern, struct str name);

#endif
