/* source_places: the types of sources that ask somebody else, and how many questions may
 * wait for a server at once.
 *
 * A type that was not built in is there all the same and says so when it is opened. open()
 * may put another row in source->type's place: ldap with auth_bind = no looks passwords up,
 * with auth_bind = yes it only tries them. */
#ifndef TERN_SOURCE_PLACES_H
#define TERN_SOURCE_PLACES_H

#include "source.h"
#include "task.h"

extern const struct auth_source_type source_pam, source_pgsql, source_sqlite, source_mysql, source_ldap, source_oauth,
    source_dovecot;

/* For open() of a type that was not built in: false with the words. */
bool source_not_built(const struct auth_source *source, const char *option, struct failure *failure);

/* ---- places: how many may wait for a server at once */

/* A source that has failed to reach its server is left alone for a moment, so that each login
 * does not wait for it anew; whoever asks meanwhile hears the same reason. */
struct source_places {
    unsigned limit, taken;
    struct task_queue waiting;
    deadline again; /* not before this */
    struct failure why;
};

/* Takes a place; false with the reason when there is none until the deadline or the server is left alone. */
MUST_USE bool source_place_take(struct source_places *places, deadline until, struct failure *failure);
/* Gives it back; failure: the server was not reached (NULL: it was). */
void source_place_give(struct source_places *places, const struct failure *failure);

#endif
