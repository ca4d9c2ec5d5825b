/* part_text: what a part's header says of the text in its body. */
#ifndef TERN_PART_TEXT_H
#define TERN_PART_TEXT_H

#include "charset.h"

struct part_text {
    bool plain; /* text/plain, or nothing said */
    bool html;
    bool attachment;                    /* Content-Disposition */
    char charset[CHARSET_NAME_MAX + 1]; /* as written; empty if none, or too long */
};
/* Reads the fields of a part's header. */
void part_text_read(struct str header, struct part_text *text);

#endif
