/* password_file: changes to the text of a passwd-file (auth/account_line.h). Lines of others, comments and fields that
 * are not known stay as they are. Pure. */
#ifndef TERN_CTL_PASSWORD_FILE_H
#define TERN_CTL_PASSWORD_FILE_H

#include "buf.h"

#define PASSWORD_FILE_LABEL_MAX ((size_t)40)

/* The line of a user, without its end. */
MUST_USE bool password_file_find(struct str content, struct str user, struct str *line);
/* Makes secret the user's; the line is added if there is none. */
void password_file_set(struct buf *content, struct str user, struct str secret);
/* Takes the user's lines out; false if there is none. */
MUST_USE bool password_file_remove(struct buf *content, struct str user);
/* The value of an extra field: "name=value", or a name alone (empty). */
MUST_USE bool password_file_field(struct str line, struct str name, struct str *value);
/* Sets one, or takes it away (empty value). False: no such user, or (taking away) no such field. */
MUST_USE bool password_file_set_field(struct buf *content, struct str user, struct str name, struct str value);
/* A further password with a name; an empty secret takes it away. False: no such user, or (taking away) no such label.
 */
MUST_USE bool password_file_set_app(struct buf *content, struct str user, struct str label, struct str secret);
/* The next label of a line; start with *offset 0. */
MUST_USE bool password_file_next_app(struct str line, size_t *offset, struct str *label);
/* Letters, digits, "-", "_" and ".", not more than the maximum. */
bool password_file_is_label(struct str label);

#endif
