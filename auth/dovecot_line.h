/* dovecot_line: the lines that Dovecot's auth service and its clients exchange
 * (version 1 of its protocol): words parted by tabs; in words the octet 1 begins an
 * escape of NUL, 1, tab, CR and LF. Pure. */
#ifndef TERN_DOVECOT_LINE_H
#define TERN_DOVECOT_LINE_H

#include "buf.h"
#include "failure.h"
#include "str.h"

#define DOVECOT_LINE_MAX ((size_t)16384)

enum dovecot_line_kind {
    DOVECOT_VERSION,   /* number: the protocol's major version */
    DOVECOT_MECHANISM, /* name; parameters */
    DOVECOT_HELLO_END, /* all has been said that comes before the first request */
    DOVECOT_CONTINUE,  /* number of the request; name: base64 */
    DOVECOT_OK,        /* number of the request; parameters */
    DOVECOT_FAIL,      /* number of the request; parameters */
    DOVECOT_OTHER,     /* to be passed over */
};

struct dovecot_line {
    enum dovecot_line_kind kind;
    uint64_t number;
    struct str name;
    struct str parameters; /* for dovecot_parameter_next */
};

/* A line without its line end. False if it is malformed. */
MUST_USE bool dovecot_line_parse(struct str line, struct dovecot_line *parsed, struct failure *failure);
/* Takes the next parameter, "name=value" or "name", from *rest; value is set anew, unescaped. False at the end. */
MUST_USE bool dovecot_parameter_next(struct str *rest, struct str *name, struct buf *value);
/* Whether a mechanism is one that can be relayed: with a name of SASL's, not private, not bound to a channel. */
bool dovecot_mechanism_is_usable(const struct dovecot_line *line);

/* Appends "\tname=value", escaped. */
void dovecot_parameter_append(struct buf *line, const char *name, struct str value);

#endif
