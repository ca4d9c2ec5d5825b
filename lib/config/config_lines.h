/* The lines of main.cf and master.cf: a line that begins with white space
 * continues the one before; empty lines and those whose first visible character
 * is # do not count, even between a line and its continuation. Pure. */
#ifndef TERN_CONFIG_LINES_H
#define TERN_CONFIG_LINES_H

#include "buf.h"
#include "failure.h"
#include "str.h"

struct config_lines {
    struct str text;
    size_t offset; /* of what was not read yet */
    size_t number; /* physical lines read */
    struct buf joined;
};

struct config_line {
    struct str text; /* in one piece, without white space at both ends; lives until the next call */
    size_t number;   /* of its first physical line, from 1 */
    size_t begin;    /* where it stands in the whole text: from here */
    size_t end;      /* to here, line ends, continuations and comments within included */
};

void config_lines_start(struct config_lines *lines, struct str text);
void config_lines_finish(struct config_lines *lines);

enum config_lines_result {
    CONFIG_LINES_LINE,
    CONFIG_LINES_END,
    CONFIG_LINES_BAD, /* a control character, or a continuation of nothing: failure says so, with "line N" */
};
MUST_USE enum config_lines_result config_lines_next(struct config_lines *lines, struct config_line *line,
                                                    struct failure *failure);

/* Takes one word from *rest: white space parts words, { } holds some together
 * and is taken off if the whole word stands in it. False at the end, or with
 * failure filled for a brace that is not closed. */
enum config_word_result {
    CONFIG_WORD,
    CONFIG_WORD_END,
    CONFIG_WORD_BAD,
};
enum config_word_result config_next_word(struct str *rest, struct str *word, bool *braced, struct failure *failure);
/* The length of a { } or ( ) group that text begins with, its ends included; 0 if it is not closed. */
size_t config_group_length(struct str text, char open, char close);

/* Appends text with every run of white space as one space. */
void config_squeeze(struct str text, struct buf *out);

#endif
