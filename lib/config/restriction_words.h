/* restriction_words: the words of smtpd_*_restrictions, rows of restrictions.def. */
#ifndef TERN_RESTRICTION_WORDS_H
#define TERN_RESTRICTION_WORDS_H

#include "compiler.h"
#include "str.h"

/* A word of the restriction language; smtpd has the functions, in the same order. */
struct restriction {
    struct str name;
    bool takes_argument;
};
extern const struct restriction restriction_table[];

/* The row of a name (any case), or NULL. */
const struct restriction *restriction_find(struct str name);
/* Whether Postfix has the word and tern not yet. */
bool restriction_is_later(struct str name);
/* The word that a misspelt one stands for, with a fifth of its letters wrong; empty: none. */
struct str restriction_nearest(struct str name);

#endif
