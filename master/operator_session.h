/* operator_session: somebody who speaks to master over private/master, and may wait for a reload's outcome. */
#ifndef TERN_MASTER_OPERATOR_SESSION_H
#define TERN_MASTER_OPERATOR_SESSION_H

#include "master.h"

#define COMMAND_LIMIT 64

struct operator_session {
    struct operator_session *next;
    struct master *master;
    int descriptor;
    struct loop_watch *watch;
    bool awaits_reload;
    size_t length;
    char line[COMMAND_LIMIT];
};

void operator_say(struct operator_session *session, const struct buf *text);
/* Closes the connection, and frees the session. */
void operator_end(struct operator_session *session);

#endif
