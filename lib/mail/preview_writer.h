/* preview_writer: where the characters of a preview go, from whichever reader: one line of visible text. */
#ifndef TERN_PREVIEW_WRITER_H
#define TERN_PREVIEW_WRITER_H

#include "buf.h"

struct preview_writer {
    struct buf *out;
    size_t limit; /* characters */
    size_t count;
    bool blank; /* a blank is owed before the next character */
    bool full;
};

void preview_write(struct preview_writer *writer, uint32_t c);
/* A blank, or a control character: what stands for one. */
bool preview_is_blank(uint32_t c);

#endif
