/* The right-hand side of an alias (aliases(5)), of a .forward and of an
 * :include: file: a comma-separated list of addresses, "|command", /file/name
 * and :include:/file/name, as typed members. Pure; linear; iterative.
 *
 * Only what an administrator or the user themself wrote may be parsed by this:
 * an address that came by SMTP is never looked at for commands and files. */
#ifndef TERN_ALIAS_MEMBERS_H
#define TERN_ALIAS_MEMBERS_H

#include "compiler.h"
#include "failure.h"
#include "memory.h"
#include "str.h"

enum alias_member_kind {
    ALIAS_ADDRESS, /* in external form (quotes kept), with or without a domain; comments and phrase removed */
    ALIAS_COMMAND, /* what follows "|", unquoted */
    ALIAS_FILE,    /* an absolute path; a trailing / is a Maildir */
    ALIAS_INCLUDE, /* the absolute path after :include: */
};

struct alias_member {
    enum alias_member_kind kind;
    struct str value; /* in the arena */
};

struct alias_members {
    struct alias_member *items; /* in the arena */
    size_t count;
};

#define ALIAS_MEMBERS_MAX 100000

/* Parses one list (a value of aliases, one line of .forward). False with the
 * reason for a malformed one, *members untouched; an empty list is well-formed
 * here. At most limit members. */
MUST_USE bool alias_members_parse(struct str text, size_t limit, struct arena *arena, struct alias_members *members,
                                  struct failure *failure);

/* Parses a .forward or :include: file: each line is a list (none goes on in the
 * next line); lines that start with # are comments. The failure says the line. */
MUST_USE bool alias_members_parse_file(struct str content, size_t limit, struct arena *arena,
                                       struct alias_members *members, struct failure *failure);

#endif
