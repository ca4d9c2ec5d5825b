/* Rules of a pattern table written in the parameter itself: pcre:{ { rule }, { rule } },
 * and regexp: and cidr: alike. Each rule stands for a line of the file. Pure but for
 * rules_read. */
#ifndef TERN_INLINE_RULES_H
#define TERN_INLINE_RULES_H

#include "table_types.h"

/* Whether a table's name (what follows "type:") is such rules and no file. */
bool inline_rules_are(struct str name);
/* Appends the rules, a line each. What is not { { rule } ... } is refused. */
MUST_USE bool inline_rules_text(struct str name, struct buf *text, struct failure *failure);

/* As table_request_read, for types whose rules may be inline. request->name becomes what
 * warnings call them; the number of a line is that of the rule. */
MUST_USE bool rules_read(struct table_request *request, size_t limit, struct buf *text, struct table_stamp *stamp,
                         struct failure *failure);

#endif
