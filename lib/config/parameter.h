/* The parameters of tern as data: what parameters.def says, for code that works
 * on all of them (the loader, ternconf, the manual, the sealed configuration). */
#ifndef TERN_PARAMETER_H
#define TERN_PARAMETER_H

#include "compiler.h"
#include "str.h"

enum parameter_type {
    PARAMETER_TEXT,   /* any text, $name expanded */
    PARAMETER_RAW,    /* any text; $name is for whoever uses it (forward_path, mailbox_command) */
    PARAMETER_LIST,   /* words parted by commas or white space */
    PARAMETER_TABLES, /* type:name, parted by commas or white space */
    PARAMETER_PATH,   /* absolute file name, or empty */
    PARAMETER_CHOICE, /* one word of several */
    PARAMETER_NUMBER,
    PARAMETER_TIME, /* seconds; s m h d w; a bare number has the unit of the default */
    PARAMETER_SIZE, /* bytes */
    PARAMETER_BOOL, /* yes or no */
};

/* Who may see a parameter: the sealed configuration of a daemon holds no other. */
enum parameter_scope {
    SCOPE_SMTPD = 1 << 0,
    SCOPE_CLEANUP = 1 << 1,
    SCOPE_QMGR = 1 << 2,
    SCOPE_SMTP = 1 << 3,
    SCOPE_LOCAL = 1 << 4,
    SCOPE_BOUNCE = 1 << 5,
    SCOPE_PICKUP = 1 << 6,
    SCOPE_LOOKUP = 1 << 7,
    SCOPE_LOG = 1 << 8,
    SCOPE_MASTER = 1 << 9,
    SCOPE_COMMANDS = 1 << 10,
    SCOPE_KEYS = 1 << 11,
    SCOPE_AUTH = 1 << 12,
    SCOPE_PAM = 1 << 13,
    SCOPE_FETCH = 1 << 14,
    SCOPE_TLSRPT = 1 << 15,
    SCOPE_MAILBOX = 1 << 16,
    SCOPE_IMAPD = 1 << 17,
    SCOPE_POP3D = 1 << 18,
    SCOPE_ALL = (1 << 19) - 1,
    /* Who speaks with clients that read their mail. */
    SCOPE_FRONTS = SCOPE_IMAPD | SCOPE_POP3D,
    /* Whoever takes content in. */
    SCOPE_INTAKE = SCOPE_SMTPD | SCOPE_CLEANUP | SCOPE_PICKUP | SCOPE_LOCAL | SCOPE_BOUNCE | SCOPE_TLSRPT,
    /* Whoever delivers. */
    SCOPE_AGENTS = SCOPE_SMTP | SCOPE_LOCAL,
    /* No scopes but marks: what its tables hold is told by no message of lookup but those made for it ... */
    PARAMETER_SECRET = 1 << 29,
    /* ... it is understood and nothing heeds it yet: whoever sets it is warned ... */
    PARAMETER_LATER = 1 << 28,
    /* ... and: tern's own parameter, not Postfix's. */
    PARAMETER_OWN = 1 << 30,
};

#define PARAMETER_COUNT_MAX INT64_C(2147483647)
#define PARAMETER_SIZE_MAX (INT64_C(1) << 50)
#define PARAMETER_TIME_MAX INT64_C(3153600000) /* a hundred years of seconds */

struct parameter {
    struct str name;
    enum parameter_type type;
    struct str value;   /* the default, not expanded */
    int64_t minimum;    /* NUMBER, TIME, SIZE */
    int64_t maximum;
    struct str choices; /* CHOICE: "a|b|c" */
    unsigned scope;     /* enum parameter_scope */
    size_t offset;      /* of its field in struct config */
    struct str doc;     /* one paragraph of plain text */
};

/* All rows in the order of parameters.def. */
extern const struct parameter parameter_table[];
extern const size_t parameter_count;
/* The row of a name, or NULL. */
const struct parameter *parameter_find(struct str name);

/* Titles of the manual, each with the index of its first row. */
struct parameter_section {
    struct str title;
    size_t first;
};
extern const struct parameter_section parameter_sections[];
extern const size_t parameter_section_count;

/* A setting that every delivery agent has under its master.cf name, as in
 * NAME_destination_concurrency_limit. */
struct transport_parameter {
    struct str suffix; /* "destination_concurrency_limit", without the underscore before it */
    struct str fallback; /* the parameter whose value counts where NAME_suffix is not set */
};
extern const struct transport_parameter transport_parameter_table[];
extern const size_t transport_parameter_count;
/* The row whose suffix, after an underscore, ends a name; NULL if none does. */
const struct transport_parameter *transport_parameter_find(struct str name);
/* What NAME_suffix falls back to: type and bounds are those. */
const struct parameter *transport_parameter_fallback(const struct transport_parameter *row);

/* True for a parameter of Postfix that tern does not have (foreign.def). */
bool parameter_is_foreign(struct str name);
/* True if setting it to that value changes nothing so far (PARAMETER_LATER), though more is asked for than holds without
 * it; NAME_suffix of a transport is looked at too. */
bool parameter_is_idle(struct str name, struct str value);
/* The parameter whose name is nearest to a misspelt one; NULL if none is near. */
const struct parameter *parameter_nearest(struct str name);
/* How many letters of a name have to be put in, taken out or changed to make the other of it. */
size_t parameter_edit_distance(struct str a, struct str b);

/* How a value is called in messages and the manual: "a number", "yes or no", ... */
struct str parameter_type_words(enum parameter_type type);

#endif
