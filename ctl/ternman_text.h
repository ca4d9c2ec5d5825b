/* ternman_text: text as mdoc, to standard output. */
#ifndef TERN_TERNMAN_TEXT_H
#define TERN_TERNMAN_TEXT_H

#include "str.h"

/* Text inside a line, with what mdoc would read differently escaped. */
void put_mdoc(struct str text);
/* A paragraph: every sentence begins a line. No line end after the last. */
void put_sentences(struct str text);
/* One argument of a macro, in quotes. */
void put_argument(struct str text);

#endif
