/* store_name: mailbox names and the directories that bear them. Pure.
 *
 * "Lists/tern" lies in ".Lists.tern". Of a level's name the octets that a directory or the hierarchy cannot hold
 * ('.', '/' is the hierarchy itself, '%', control characters) are written %XX. */
#ifndef TERN_STORE_NAME_H
#define TERN_STORE_NAME_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

/* Appends the directory's name; nothing for INBOX. False: the name may not be one (store_name_is_valid). */
MUST_USE bool store_name_to_directory(struct str name, struct buf *directory);
/* The reverse. False: it is no folder's directory, or not as we would write it. */
MUST_USE bool store_name_from_directory(struct str directory, struct buf *name);
/* INBOX in any case of letters. */
bool store_name_is_inbox(struct str name);

#endif
