/* ahead: messages that a command is going to need, read and parsed by helper threads before it gets to them.
 *
 * Nothing begins until a command has had to read some messages in a row; then those that follow are opened, read and
 * parsed by the threads, a bounded number and a bounded amount of them, and the session takes over what came of it when
 * it gets there. Cache, folder and client are the session's alone; the threads get file names and give back octets.
 * What they could not do, whatever the reason, the session does as if there were no threads, so answers are the same.
 */
#ifndef TERN_IMAP_AHEAD_H
#define TERN_IMAP_AHEAD_H

#include "imap.h"
#include "message_rows.h"

enum ahead_wants {
    AHEAD_STRUCTURE = 1, /* the record of imap_structure.h */
    AHEAD_FIELDS = 2,    /* the header fields that the cache keeps */
    AHEAD_ROW = 4,       /* with them: their row */
};

/* What came of a message's file. */
struct ahead_message {
    uint32_t uid;
    bool done;   /* all that was wanted is there */
    bool looked; /* the file's date and size were asked for, too */
    int64_t date;
    uint64_t size;
    struct str record, fields; /* not empty where they were wanted */
    bool has_row, row_refused; /* row_refused: it would be too long */
    struct message_row row;
    size_t path; /* where in the names of its run it begins */
};

/* What the command under way will want of the messages that it reads, up to this sequence number; before it reads any.
 * wants 0: nothing. Ends what was planned before. */
void ahead_plan(struct imap_session *session, unsigned wants, uint32_t last);
/* The command cannot answer from the cache what it wants of a message, and is about to read it: what came of it, until
 * the next call for another message; NULL: it is to be read. */
const struct ahead_message *ahead_get(struct imap_session *session, uint32_t sequence, uint32_t uid, unsigned want);
/* The command is over: ends the threads, frees all. */
void ahead_end(struct imap_session *session);

#endif
