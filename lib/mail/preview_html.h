/* preview_html: the text within HTML, roughly, character by character.
 *
 * For preview.c alone. Tags and comments go, and what stands in head, style,
 * script, title and (unless quoted text is wanted) blockquote; character
 * references are read. Nothing is built: a few octets of state. */
#ifndef TERN_PREVIEW_HTML_H
#define TERN_PREVIEW_HTML_H

#include "preview_writer.h"

enum preview_html_state {
    PREVIEW_HTML_TEXT,
    PREVIEW_HTML_REFERENCE, /* after '&' */
    PREVIEW_HTML_NAME,      /* after '<' */
    PREVIEW_HTML_TAG,       /* attributes */
    PREVIEW_HTML_QUOTED,    /* an attribute's value */
    PREVIEW_HTML_COMMENT,
};

#define PREVIEW_HTML_WORD_MAX 11

struct preview_html {
    struct preview_writer *writer;
    enum preview_html_state state;
    bool with_quoted;
    uint32_t quote;     /* of PREVIEW_HTML_QUOTED */
    unsigned dashes;    /* of a comment, before its '>' */
    size_t word_length; /* of a tag's name or a reference */
    char word[PREVIEW_HTML_WORD_MAX + 1];
    char skipped[PREVIEW_HTML_WORD_MAX + 1]; /* the element that is passed over; empty: none */
    unsigned depth;                          /* of elements of that name within each other */
};

void preview_html_begin(struct preview_html *html, struct preview_writer *writer, bool with_quoted);
void preview_html_read(struct preview_html *html, uint32_t c);
/* The text ends: what looked like a reference is shown. */
void preview_html_end(struct preview_html *html);

#endif
