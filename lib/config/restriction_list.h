/* restriction_list: the lists of smtpd_*_restrictions as parsed values.
 *
 * The words are in restriction_words.h; here they are only split:
 * "warn_if_reject" marks the next word, some take the following word as their
 * argument, "type:name" alone stands for the stage's access table check. Pure. */
#ifndef TERN_RESTRICTION_LIST_H
#define TERN_RESTRICTION_LIST_H

#include "compiler.h"
#include "memory.h"
#include "restriction_words.h"
#include "str.h"

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

#endif
