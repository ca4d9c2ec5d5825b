/* sources: the sources of accounts that auth_sources lists, asked in their order. */
#ifndef TERN_AUTH_SOURCES_H
#define TERN_AUTH_SOURCES_H

#include "source.h"

struct sources {
    struct auth_source *list;
    size_t count;
};

/* Opens all that a list names. Before the sandbox. False names the one that does not open, or whose type there is not.
 */
MUST_USE bool sources_open(struct sources *sources, struct service *service, struct str list, struct failure *failure);
void sources_close(struct sources *sources);

/* Asks the sources in their order from *next on until one does not say SOURCE_UNKNOWN; *source is who answered, and
 * *next where a further question would go on. A source that cannot look up answers SOURCE_FOUND with
 * account->login the question's user and no secret: its type's verify must be asked. */
enum source_answer sources_look_up(const struct sources *sources, size_t *next, const struct source_question *question,
                                   struct auth_account *account, struct auth_source **source, struct failure *failure);

/* What a listed mechanism needs of the sources. */
bool sources_take_tokens(const struct sources *sources);
/* True if some source may have accounts with a secret from which SCRAM by this digest ("SHA-256") works. */
bool sources_have_scram(const struct sources *sources, struct str digest);

extern const struct auth_source_type source_passwd_file, source_lmdb;

#endif
