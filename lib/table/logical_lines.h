/* Logical lines, as all of Postfix's text files have them: a line that starts
 * with white space continues the one before; empty lines and lines whose first
 * visible character is # do not count, wherever they stand. Pure. */
#ifndef TERN_LOGICAL_LINES_H
#define TERN_LOGICAL_LINES_H

#include "buf.h"
#include "str.h"

struct logical_lines {
    struct str rest;
    size_t line;       /* physical lines taken so far */
    struct buf joined; /* for a line in several pieces */
};

/* text is borrowed until logical_lines_finish, which frees the joined line. */
void logical_lines_start(struct logical_lines *lines, struct str text);
/* The next line, trimmed, and the number of its first physical line. It lives
 * until the next call. False at the end. A continuation keeps its white space. */
bool logical_lines_next(struct logical_lines *lines, struct str *line, size_t *number);
void logical_lines_finish(struct logical_lines *lines);

#endif
