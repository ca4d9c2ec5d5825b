/* pop3: a logged-in session (RFC 1939): what its commands share.
 *
 * A session runs in a process of the mailbox's user, as one task, on a connection that a front handed over. The view of
 * the INBOX that it opened stands still until the end, so a message's number is its sequence number in the view. */
#ifndef TERN_POP3_H
#define TERN_POP3_H

#include "folder.h"
#include "pop3_line.h"
#include "saved_uidl.h"
#include "session_channel.h"
#include "store.h"
#include "stream.h"

struct pop3_session {
    struct stream *stream;
    const struct session_settings *settings;
    struct str mechanisms; /* that the front has; borrowed */
    struct store *store;
    struct folder *folder;
    int lock;         /* tern-pop3, held; -1 */
    uint32_t count;   /* messages, as at the login */
    uint8_t *deleted; /* by number, from 1 */
    uint32_t deleted_count;
    struct saved_uidls saved;
    bool saved_read;       /* once a client has asked for unique IDs */
    bool measured;         /* octets is known */
    uint64_t octets;       /* of the messages that are not deleted */
    unsigned bad_commands; /* in a row */
    bool quitting, connection_lost;
    uint64_t retrieved, retrieved_octets, topped; /* for the log */
};

/* session.c */
/* Takes the lock, opens the INBOX, greets; or greets first, where opening takes long. False: it has been refused, and
 * told why. */
MUST_USE bool pop3_session_begin(struct pop3_session *session);
/* Serves until QUIT, with which what was deleted goes, or the connection's end, with which it stays. */
void pop3_session_serve(struct pop3_session *session);
/* Frees all but stream and store. */
void pop3_session_end(struct pop3_session *session);
/* Writing: what is said leaves when the client has nothing more to say, or when it is much. */
void pop3_say(struct pop3_session *session, const char *format, ...) PRINTF_LIKE(2, 3);
void pop3_say_bytes(struct pop3_session *session, struct str bytes);
/* The code of an -ERR that names no fault of the client (RFC 3206): SYS/PERM if waiting does not mend it. */
const char *pop3_trouble(const struct failure *failure);

/* lock.c */
enum pop3_lock { LOCK_TAKEN, LOCK_IN_USE, LOCK_TOO_SOON /* pop3_login_delay */, LOCK_FAILED };
/* The lock of POP3 sessions against each other, and the date of the last login, in the file tern-pop3 of the INBOX. */
enum pop3_lock pop3_lock_take(struct store *store, unsigned login_delay, int *lock, struct failure *failure);
void pop3_lock_release(int *lock);

/* cmd_list.c, cmd_message.c, cmd_misc.c: the commands; they answer by themselves. */
typedef void pop3_command(struct pop3_session *session, const struct pop3_line *line);
pop3_command pop3_stat, pop3_list, pop3_uidl;
pop3_command pop3_retr, pop3_top;
pop3_command pop3_dele, pop3_rset, pop3_quit;
/* The number of a message that is there and not deleted; false: -ERR was said. */
MUST_USE bool pop3_take_message(struct pop3_session *session, struct str argument, uint32_t *number);
/* Octets as they are sent, the dots of stuffing not counted. */
uint64_t pop3_message_size(struct pop3_session *session, uint32_t number);

#endif
