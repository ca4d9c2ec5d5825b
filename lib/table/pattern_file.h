/* The file syntax of pcre: and regexp: tables, without the patterns' own
 * language: /pattern/flags result, !/pattern/flags result, if, if !, endif. Pure.
 *
 * cidr: tables share the if/endif logic (pattern_rules_find). */
#ifndef TERN_PATTERN_FILE_H
#define TERN_PATTERN_FILE_H

#include "buf.h"
#include "compiler.h"
#include "memory.h"
#include "str.h"

/* One piece of a result: literal bytes, or what a group matched. */
struct pattern_piece {
    struct str literal; /* in the arena */
    unsigned group;     /* used when is_group */
    bool is_group;
};

enum pattern_rule_kind { PATTERN_RULE_MATCH, PATTERN_RULE_IF, PATTERN_RULE_ENDIF };

struct pattern_rule {
    enum pattern_rule_kind kind;
    bool negated;
    bool dead;          /* malformed IF: nothing in its block is reached */
    struct str pattern; /* between the delimiters */
    struct str flags;   /* letters */
    struct str result;
    size_t line;
    size_t endif;                 /* IF: index of its ENDIF (or the number of rules) */
    struct pattern_piece *pieces; /* MATCH: the result in pieces */
    size_t piece_count;
    unsigned highest_group;
    void *compiled; /* for the type that compiles it */
};

struct pattern_rules {
    struct arena *arena; /* the lines and pieces that rules point into */
    struct pattern_rule *items;
    size_t count;
};

enum pattern_syntax {
    PATTERN_SYNTAX_DELIMITED, /* pcre, regexp */
    PATTERN_SYNTAX_CIDR,      /* network whitespace result */
};

/* Reads the whole file's text. Malformed rules are left out with a warning; a
 * malformed if takes its block with it. file names it in warnings. */
void pattern_rules_parse(struct str text, enum pattern_syntax syntax, struct str file, bool substitution,
                         struct buf *warnings, struct pattern_rules *rules);
/* Frees all but what compiled points to. */
void pattern_rules_free(struct pattern_rules *rules);

enum pattern_match { PATTERN_MATCH, PATTERN_NO_MATCH, PATTERN_ERROR };

/* The first rule that applies, through if and endif; rules->count if none does.
 * test says whether a rule's bare pattern matches; an error ends the search. */
enum pattern_match pattern_rules_find(const struct pattern_rules *rules,
                                      enum pattern_match (*test)(void *context, const struct pattern_rule *rule),
                                      void *context, size_t *found);

/* Appends a result: group(context, n) gives what group n matched. */
bool pattern_result_expand(const struct pattern_rule *rule, struct str (*group)(void *context, unsigned number),
                           void *context, struct buf *value);

#endif
