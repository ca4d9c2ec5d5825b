/* Cuts parameter values and { } texts into their elements. Pure. */
#ifndef TERN_TABLE_WORDS_H
#define TERN_TABLE_WORDS_H

#include "compiler.h"
#include "str.h"

enum table_word {
    TABLE_WORD,
    TABLE_WORD_END,
    TABLE_WORD_UNBALANCED, /* a { without its }, or the other way round */
};

/* The next element of *rest: commas and white space part elements but not within
 * { }, which nest; braces are part of the element. */
MUST_USE enum table_word table_word_next(struct str *rest, struct str *word);

/* If text is { ... } as a whole, what is within, trimmed. */
bool table_word_unbrace(struct str text, struct str *inside);

#endif
