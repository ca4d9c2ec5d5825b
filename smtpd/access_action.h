/* access_action: what stands on the right-hand side of an access table.
 *
 * Postfix access(5). Pure. */
#ifndef TERN_ACCESS_ACTION_H
#define TERN_ACCESS_ACTION_H

#include "compiler.h"
#include "str.h"

enum access_kind {
    ACCESS_DUNNO,
    ACCESS_OK,
    ACCESS_REJECT,
    ACCESS_DEFER,
    ACCESS_DEFER_IF_PERMIT,
    ACCESS_DEFER_IF_REJECT,
    ACCESS_HOLD,
    ACCESS_DISCARD,
    ACCESS_WARN,
    ACCESS_INFO,
    ACCESS_PREPEND,
    ACCESS_REDIRECT,
    ACCESS_BCC,
    ACCESS_CODE,         /* a reply of one's own: 4xx or 5xx, perhaps with an enhanced code */
    ACCESS_UNSUPPORTED,  /* an action of Postfix that tern does not have (yet) */
    ACCESS_RESTRICTIONS, /* none of these: a list of restrictions */
};

struct access_action {
    enum access_kind kind;
    unsigned code;     /* ACCESS_CODE */
    struct str status; /* enhanced code given with the text; empty: none */
    struct str text;   /* may be empty; borrowed */
};

struct access_action access_action_parse(struct str value);

#endif
