/* mailbox: the one context of the forker, and what its files offer each other.
 *
 *   mailbox.c   the requests: auth admits, fronts open, operators look
 *   account.c   whose a session is
 *   idle.c      the clients that idle, and which of the saved states are good
 *   crowd.c     how many sessions an account may have by now
 *   idle_file.c those states, written down for a successor
 *   at_work.c   the sessions at work, written down for a successor
 *   handover.c  sessions at work outlive their forker, and the next one knows them
 *   process.c   the processes: made, given another session of their account, ended
 *   session.c   the child: becomes the mailbox's user, locks itself in, serves
 *   session_store.c   opens the mailboxes that a session is of
 *
 * It runs as root and reads no stranger's bytes: what fronts send are tickets, which auth made, and states, which
 * sessions have sealed. */
#ifndef TERN_MAILBOX_H
#define TERN_MAILBOX_H

#include <linux/filter.h>

#include "hash.h"
#include "ipc_socket.h"
#include "service.h"
#include "session_channel.h"

/* Whom a ticket stands for, or a running session. */
struct account {
    struct arena *arena;
    struct str protocol, login, root, cache, client_address;
    uint32_t uid, gid;
    uint64_t quota_storage, quota_messages;
    int64_t begun; /* date of the login, seconds */
    uint32_t turn; /* how many sessions have had the client, this one included: a state is good for the next alone */
    deadline expires; /* of a ticket */
};

/* What a session's process does: serves, waits for another session of its account, or has been told to end. */
enum session_stage { STAGE_SERVES, STAGE_WAITS, STAGE_ENDS };

struct live_session {
    struct live_session *next, **link;
    struct mailbox *mailbox;
    struct account account;
    uint8_t nonce[16]; /* of the login: the session's number, also after an IDLE */
    enum session_stage stage;
    pid_t process;
    bool leaving; /* its client idles already: the session is about to end */
    bool kicked;  /* an operator has ended it: no other session gets its process */
    bool unserved; /* it has not had its client, or nobody knows that: another one may be asked for */
    int watched; /* pidfd */
    struct loop_watch *watch;
    /* For another session of the account, once this one is over; descriptors -1: there will be none. */
    struct ipc_socket channel;
    struct ipc_socket far_end; /* the process's own end: what it had not read when it died is still there */
    struct loop_watch *channel_watch;
    unsigned served;     /* sessions, the one under way included */
    deadline waits_until;
    uint32_t ticks; /* when its process began; 0: nobody has looked yet (at_work.c) */
    long slot;      /* where it stands among those at work; -1: nowhere */
    uint32_t crowd; /* crowd.c's */
};

/* A client that idles in a front, and whose state is good: what operators and limits need. Or, without a front, a state
 * that may still come, for a while: of a session that has just ended, or of a front that was lost. */
struct idle_session {
    struct idle_session *next, **link;
    struct ipc_peer *front; /* NULL: none, and no texts */
    deadline until;         /* without a front */
    uint32_t turn;          /* that of the session which has sealed the state */
    uint32_t slot;          /* in the file; IDLE_NO_SLOT: none */
    uint32_t crowd;         /* crowd.c's */
    bool or_before;         /* that session may not have had the client: the state before is good, too */
    struct str login, protocol, client_address; /* in texts */
    char *texts;
    uint8_t nonce[16];
    int64_t begun;
    bool kicked;
};

struct mailbox {
    struct service *service;
    const struct config *config;
    struct map *tickets; /* struct account by ticket */
    struct live_session *sessions;
    size_t session_count;
    struct live_session *waiting; /* processes without a session, the one that waits longest last */
    size_t waiting_count;
    struct live_session *ending; /* processes that were told to end */
    struct map *live_by_nonce;   /* the newest session of each */
    struct idle_session *idle;
    struct idle_session *expected, **expected_end; /* without a front, the one that waits longest first */
    size_t expected_count;
    struct map *idle_by_nonce; /* both */
    struct idle_file *idle_file;
    uint32_t *crowd;
    uint8_t seal_master[32];
    struct sock_fprog filter; /* of sessions */
    char boot[64];            /* the boot's identity */
    bool given;               /* drained: the sessions are a successor's */
    int at_work;              /* the file of the sessions that are at work, locked; -1: a predecessor has it */
    bool *slots;              /* there: in use */
    size_t slot_count, slots_used_below; /* there is no free one below that */
    bool complained;
};

/* account.c */
/* NULL: it is too large. */
struct account *account_make(const struct ipc_mailbox_admit *admit);
void account_free(struct account **account);
/* As it stands before a session's own state, its turn with it; and from there, which takes it off the state. NULL: it
 * is none. */
void account_pack(const struct account *account, struct buf *text);
struct account *account_unpack(struct str login, struct str *state);

/* process.c */
/* A process for a session: one of the account that waits, or a new one. control: the descriptor of mailbox_open, which
 * stays the caller's. Takes the account over if it succeeds. */
MUST_USE bool process_begin(struct mailbox *mailbox, struct account **account, const uint8_t nonce[16], int control,
                            struct str state, struct failure *failure);
/* The session with that number that has begun last and whose process serves; NULL: none. */
struct live_session *process_find(const struct mailbox *mailbox, const uint8_t nonce[16]);
/* A session whose process is a predecessor's child: it will serve no other one. Takes the account over. */
void process_adopt(struct mailbox *mailbox, struct account **account, const uint8_t nonce[16], pid_t process);
/* Ends the processes of an account (empty: all) that wait. */
void process_end_waiting(struct mailbox *mailbox, struct str login);
/* Ends those that have waited long enough. */
void process_expire(struct mailbox *mailbox);

/* at_work.c */
#define AT_WORK_FILE "sessions-at-work"
#define AT_WORK_SLOT ((size_t)512) /* length of the row, two octets, 0: empty; the turn, four; and the row */
#define AT_WORK_HEAD ((size_t)6)
/* A session is at work: written down for a successor; it is over, or idles. Again does nothing. */
void at_work_note(struct live_session *session);
void at_work_forget(struct live_session *session);
/* When the process began, in the kernel's ticks, cut to 32 bits. False: there is none. */
bool at_work_beginning(pid_t process, uint32_t *ticks);

/* handover.c */
/* Leaves those that are written down to a successor. */
void handover_give(struct mailbox *mailbox);
/* Takes over those of a predecessor that has given them, or is gone. */
void handover_take(struct mailbox *mailbox);

/* idle.c: a state is good once, and only as long as its session has not ended */
/* SESSION_WAITS, SESSION_GONE. */
void idle_begin(struct ipc_request *request, struct mailbox *mailbox, const struct account *account,
                const uint8_t nonce[16]);
void idle_gone(struct ipc_request *request, struct mailbox *mailbox);
/* Whether the state that the session of that turn has sealed may be opened now. */
bool idle_is_good(const struct mailbox *mailbox, const uint8_t nonce[16], uint32_t turn);
/* The next session begins: the state is not good any more. */
void idle_used(struct mailbox *mailbox, const uint8_t nonce[16]);
/* The session that would seal it is over, and nobody has said yet whether its client idles. slot: IDLE_NO_SLOT. */
void idle_expect(struct mailbox *mailbox, const uint8_t nonce[16], uint32_t turn, bool or_before, uint32_t slot);
/* Forgets those that nobody has told of. */
void idle_expire(struct mailbox *mailbox);
/* Has the fronts end those of an account (empty: all), or one; how many. Suspends. */
uint64_t idle_kick(struct mailbox *mailbox, struct str login, struct str session);
/* The session's number as operators see it. */
void session_number(const uint8_t nonce[16], char text[40]);

/* crowd.c: place is 0 as long as a session is not counted */
void crowd_enter(struct mailbox *mailbox, struct str login, struct str client_address, uint32_t *place);
void crowd_leave(struct mailbox *mailbox, uint32_t *place);
/* True: the account has fewer sessions from its address. False: perhaps not. */
bool crowd_is_below(const struct mailbox *mailbox, const struct account *account, size_t limit);

/* idle_file.c: a row for each state that is good, in the data directory. Whoever has the lock of AT_WORK_FILE writes
 * it. */
#define IDLE_NO_SLOT UINT32_MAX
/* Takes over what a predecessor has left: by idle_expect. */
void idle_file_take(struct mailbox *mailbox);
/* Leaves it to a successor. */
void idle_file_give(struct mailbox *mailbox);
/* The slot of a row; IDLE_NO_SLOT: it could not be written. */
uint32_t idle_file_add(struct mailbox *mailbox, const uint8_t nonce[16], uint32_t turn);
void idle_file_remove(struct mailbox *mailbox, uint32_t *slot);

#define EXIT_UNSERVED 1 /* of a session's process that has not had its client */
/* session.c: never returns. control: the channel to the front; forker: that to mailbox, -1: none. */
NO_RETURN void session_process(const struct mailbox *mailbox, const struct account *account, const uint8_t nonce[16],
                               int control, int forker, struct str state);
/* session_store.c: the session's mailboxes, to be closed with store_close; NULL: failure says why. */
struct store *session_open_store(const struct session_settings *settings, struct failure *failure);

/* imap_process.c */
void imap_process(const struct session_settings *settings, struct session_channel *channel,
                  const struct session_attachment *attachment);
/* pop3_process.c */
void pop3_process(const struct session_settings *settings, struct session_channel *channel,
                  const struct session_attachment *attachment);
/* Loads what a session's sandbox keeps it from loading: character set converters. */
void session_prepare(void);

#endif
