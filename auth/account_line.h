/* account_line: what a passwd-file says of one account, as Dovecot writes it:
 *
 *   user:{SCHEME}secret:uid:gid:gecos:home:shell:extra fields
 *
 * Fields may be missing from the end. Extra fields are words parted by blanks, name=value
 * or a name alone (yes); they may contain colons, and those called uid, gid and home (userdb_uid ...) count more than
 * the fields before. "app_NAME={SCHEME}secret" is a further
 * password with a name; "nologin" or "disabled" keeps the account out. A secret that
 * begins with ! or * is locked. Pure functions. */
#ifndef TERN_AUTH_ACCOUNT_LINE_H
#define TERN_AUTH_ACCOUNT_LINE_H

#include "source.h"

#define ACCOUNT_LINE_LIMIT ((size_t)16384) /* longer lines are no accounts */

/* The part of a line before its first colon, and the rest; false for comments, empty lines and those without a colon.
 */
MUST_USE bool account_line_split(struct str line, struct str *user, struct str *rest);
/* Reads what follows the user's name. SOURCE_FOUND, SOURCE_DISABLED, or SOURCE_RETRY: it is too long for the arena. */
enum source_answer account_line_read(struct str rest, struct arena *arena, struct auth_account *account);

#endif
