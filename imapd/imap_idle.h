/* imap_idle: a session that idles goes back to the front, and another process goes on with it as if nothing had
 * happened: same sequence numbers, same "$", same modseq. */
#ifndef TERN_IMAP_IDLE_H
#define TERN_IMAP_IDLE_H

#include "imap.h"

/* What another process needs, as text; pure. tag: of the IDLE under way. */
struct idle_state {
    unsigned features;
    bool selected, read_only;
    uint32_t uid_validity, uid_next, recent_from, recent_to;
    uint64_t modseq;
    struct str tag, mailbox, saved; /* saved: a set of UIDs */
};
void idle_state_format(const struct idle_state *state, struct buf *text);
MUST_USE bool idle_state_parse(struct str text, struct idle_state *state);

/* After IDLE: saves the session and tells the front. False: the front is gone. */
bool imap_give_back(struct imap_session *session);
/* Before anything else in the next process: the session as it was. Tells what has happened; then, by the reason, takes
 * the client's DONE or idles on (session->idle_wanted). False: it cannot go on, the client has been told. */
bool imap_wake(struct imap_session *session, struct str state, enum session_wake reason);

#endif
