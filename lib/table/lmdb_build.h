/* Makes an LMDB table file: all entries into a new file beside the old one,
 * synced, renamed over it. Readers keep the file they opened, complete as it
 * was; nothing is ever changed in place, so they need no locks. */
#ifndef TERN_LMDB_BUILD_H
#define TERN_LMDB_BUILD_H

#include "compiler.h"
#include "failure.h"
#include "str.h"
#include <sys/types.h>

struct lmdb_build;

enum lmdb_build_put {
    LMDB_BUILD_NEW,
    LMDB_BUILD_DUPLICATE, /* the key is there (replaced, if that was asked) */
    LMDB_BUILD_KEY_LENGTH /* empty, or more than LMDB takes: left out */
};

/* Starts with no entry, or, if keep is true, with those of the present file
 * (which then must exist and be sound). path ends in ".lmdb". */
MUST_USE bool lmdb_build_start(struct str path, bool keep, struct lmdb_build **build, struct failure *failure);
/* Entries are copied. *line_of_first, if not NULL, becomes the line given with
 * the entry that was there. */
MUST_USE enum lmdb_build_put lmdb_build_put(struct lmdb_build *build, struct str key, struct str value, size_t line,
                                            bool replace, size_t *line_of_first);
/* Takes an entry out; false if it is not there. */
bool lmdb_build_delete(struct lmdb_build *build, struct str key);
size_t lmdb_build_count(const struct lmdb_build *build);

/* Writes, syncs and renames. The file gets mode; owner and group too unless they
 * are (uid_t)-1. with_nul stores a NUL after keys and values (old readers). */
MUST_USE bool lmdb_build_commit(struct lmdb_build *build, mode_t mode, uid_t owner, gid_t group, bool with_nul,
                                struct failure *failure);
/* Frees; without a commit before it nothing has changed on disk. */
void lmdb_build_free(struct lmdb_build **build);

#endif
