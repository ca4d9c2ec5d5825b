/* source_template: texts of a source's settings with places for the one who logs in.
 *
 *   %u %s  the whole name        %n  the part before the last @      %d  the part after it
 *   %r     the client's address  %P  the protocol                    %%  a percent sign
 *
 * How a value is put in is the caller's: as a parameter of a statement, or with the
 * escapes of LDAP. Pure. */
#ifndef TERN_SOURCE_TEMPLATE_H
#define TERN_SOURCE_TEMPLATE_H

#include "buf.h"
#include "failure.h"
#include "source.h"
#include "str.h"

enum source_template_result {
    SOURCE_TEMPLATE_DONE,
    SOURCE_TEMPLATE_NO_DOMAIN, /* %d is asked for and the name has none: nobody of that name is here */
    SOURCE_TEMPLATE_TOO_LONG,  /* the buf's limit */
};

/* False for an unknown %, named in failure as the template of what. */
MUST_USE bool source_template_check(struct str template, const char *what, struct failure *failure);
/* Whether it has places at all (%% is none). */
bool source_template_varies(struct str template);
/* Appends the template with its places filled; append puts a value in (NULL: as it is). */
MUST_USE enum source_template_result source_template_expand(struct str template, const struct source_question *question,
                                                            void (*append)(struct buf *out, struct str value),
                                                            struct buf *out);

/* ---- users */

#define SOURCE_USER_MAX 256
/* What may be asked of a source at all: not empty, at most SOURCE_USER_MAX bytes of UTF-8, and no control
 * characters (a NUL would end the name early in the libraries). */
bool source_user_is_plain(struct str user);
/* Whether the user belongs to a source whose setting domain lists names; an empty list has all. */
bool source_user_in_domains(struct str user, struct str domains);

#endif
