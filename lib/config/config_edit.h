/* Editing the text of main.cf and master.cf: comments, order and indentation of
 * what is not touched stay. Pure, but for config_edit_replace. */
#ifndef TERN_CONFIG_EDIT_H
#define TERN_CONFIG_EDIT_H

#include "buf.h"
#include "failure.h"
#include "master_cf.h"
#include "str.h"

enum config_edit_action {
    CONFIG_EDIT_SET,     /* in the place of the old value, or at the end */
    CONFIG_EDIT_COMMENT, /* a # before each of its lines */
    CONFIG_EDIT_REMOVE,  /* comments within it stay */
};

/* Edits one setting: all its occurrences, *count of them (0 is no error). value
 * counts for SET only. */
MUST_USE bool config_edit_setting(struct str text, enum config_edit_action action, struct str name, struct str value,
                                  struct buf *edited, size_t *count, struct failure *failure);
/* Edits one row of master.cf; replacement, the row's new text without line end,
 * counts for SET only. */
MUST_USE bool config_edit_row(struct str text, enum config_edit_action action, struct str name,
                              enum master_cf_type type, struct str replacement, struct buf *edited, size_t *count,
                              struct failure *failure);

/* Appends a row as ternconf -M prints it; folded: an argument a line. */
void master_cf_format(const struct master_cf_row *row, bool folded, struct buf *out);

/* Puts content in the place of a file: written beside it, synced, renamed, the
 * directory synced; mode and owner stay. Blocking. */
MUST_USE bool config_edit_replace(const char *path, struct str content, struct failure *failure);

/* Appends words with a line break and four spaces where a line would pass 80
 * columns; column is where the first one begins. A { } group stays in one piece. */
void config_fold(struct str text, size_t column, struct buf *out);

#endif
