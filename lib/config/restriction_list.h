/* restriction_list: the lists of smtpd_*_restrictions as parsed values.
 *
 * The words are rows of one table (restrictions.def); here they are only split:
 * "warn_if_reject" marks the next word, some take the following word as their
 * argument, "type:name" alone stands for the stage's access table check. Pure. */
#ifndef TERN_RESTRICTION_LIST_H
#define TERN_RESTRICTION_LIST_H

#include "compiler.h"
#include "memory.h"
#include "str.h"

/* A word of the restriction language; smtpd has the functions. */
struct restriction {
    struct str name;
    bool takes_argument;
};
extern const struct restriction restriction_table[];
/* The row of a name (any case), or NULL. */
const struct restriction *restriction_find(struct str name);

struct restriction_item {
    const struct restriction *restriction; /* NULL: a word that no row has (a class, or a mistake) */
    struct str name, argument;
    bool warn_only; /* warn_if_reject stood before it */
};

struct restriction_list {
    struct restriction_item *items;
    size_t count;
};

#define RESTRICTION_LIST_MAX  1000
#define RESTRICTION_SLEEP_MAX 600 /* seconds */

/* Splits at blanks and commas; {} keeps a word with blanks together. table_word: the name of
 * the restriction that a lone type:name means; empty: none. Texts are borrowed, items live in
 * the arena. False for too many words, an argument that is missing or unbalanced braces. */
MUST_USE bool restriction_list_parse(struct str text, struct str table_word, struct arena *arena,
                                     struct restriction_list *list);

struct config;
struct buf;
/* A line for each word of the smtpd_*_restrictions, and of the classes, that smtpd would answer with 451: "PARAMETER:
 * what is wrong". What tables hold is not looked at. True if there is none. */
bool restriction_check(const struct config *config, struct buf *lines);

#endif
