/* session_channel: between a front, which keeps its client's connection, and the process
 * that serves the session as the mailbox's user.
 *
 * The front authenticates the client, gets a ticket from auth, brings both to mailbox
 * (MAILBOX_OPEN), and sends the connection (SESSION_ATTACH); for TLS the plain side of a pair, whose other
 * side it copies. It keeps its own descriptor of the connection and reads nothing from it until the session says
 * SESSION_IDLE (then it watches for the client, for the inotify instance and for time, and opens the next session
 * with the sealed state) or SESSION_ENDED, or is gone. */
#ifndef TERN_SESSION_CHANNEL_H
#define TERN_SESSION_CHANNEL_H

#include "front_watches.h"
#include "ipc.h"
#include "memory.h"
#include "service.h"
#include "stream.h"

enum session_wake { WAKE_LOGIN = 0, WAKE_INPUT = 1, WAKE_EVENT = 2, WAKE_TIME = 3 };

/* ---- the session's side; blocks, for a process of its own */

/* Whom the session serves: made by mailbox before the fork. */
#define SESSION_MEMORY_KEPT ((size_t)16 << 20) /* of a session's process: memory_keep_freed */

struct session_settings {
    struct str protocol, login, root, cache, host, boot, client_address;
    uint64_t quota_storage, quota_messages, append_limit;
    struct str auto_folders;
    int64_t idle_timeout; /* ms without a command */
    unsigned line_limit;
    struct str pop3_uidl_format;
    unsigned pop3_login_delay; /* seconds */
    unsigned read_threads;     /* that read messages ahead; 0: none */
    struct str state_prefix; /* what stands before the session's own state: mailbox's */
    uint8_t seal[32]; /* HMAC key of this login alone: a state sealed with it can be opened for this login only */
    uint8_t nonce[16];
};

struct session_channel;

struct session_attachment {
    int connection;
    int inotify; /* this one's to close; others may watch by it as well; -1: none */
    enum session_wake reason;
    bool encrypted;
    struct str tag, input, state; /* tag: of SESSION_ATTACH; state: what the session before has saved, without the seal;
                                     empty after a login */
};
/* Takes the descriptor over; waits for SESSION_ATTACH. NULL if the front is gone. */
struct session_channel *session_channel_accept(int descriptor, struct str state, struct arena *arena,
                                               struct session_attachment *attachment, struct failure *failure);
/* Seals and sends the state. inotify -1: none; watches: the numbers of its own in it. False: the front is gone. */
bool session_channel_idle(struct session_channel *channel, const struct session_settings *settings, struct str state,
                          struct str unused_input, int inotify, struct str watches, bool unwatched);
void session_channel_end(struct session_channel *channel, struct str reason, uint64_t bytes_in, uint64_t bytes_out);
void session_channel_free(struct session_channel **channel);

/* Sealed state: login, nonce, MAC, state. The state begins with the account, as mailbox writes it: so many lines that
 * each end in LF. Opening needs the key of all seals, from which that of a login is made: of its nonce, name and
 * account, so that no session can seal for another one, or as another user. */
#define SESSION_ACCOUNT_LINES 4
void session_seal(const struct session_settings *settings, struct str state, struct buf *sealed);
void session_seal_key(const uint8_t master[32], struct str login, const uint8_t nonce[16], struct str account,
                      uint8_t key[32]);
/* The number of the session in a sealed state, borrowed; empty if it has none. Anybody can read it. */
struct str session_state_number(struct str sealed);
/* False: it was not sealed by us, or altered. Texts borrow from sealed. */
MUST_USE bool session_unseal(const uint8_t master[32], struct str sealed, struct str *login, uint8_t nonce[16],
                             struct str *state);

/* ---- the front's side; in tasks */

enum front_end { FRONT_ENDED, FRONT_IDLE, FRONT_LOST /* the process is gone without a word, or could not be had */ };

struct front_loan {
    struct stream *connection; /* what it has read ahead goes along */
    bool encrypted;
    struct str client_address, tag;
    struct str ticket, state; /* one of them is empty */
    struct str input;         /* bytes of the client that came back from the session before */
    enum session_wake reason;
    struct front_watches *watches;
    struct front_watcher *watcher; /* the client's part */
    /* out, on FRONT_IDLE; in the arena */
    struct str new_state, new_input;
    bool unwatched;
    bool look;    /* something may have happened already */
};
/* Opens a session for a client and sees it through until it ends or idles. A service that lends encrypted connections
 * has RIGHT_PAIRS. FRONT_LOST with a failure: no session has had the client, and another may be tried. Task context. */
enum front_end front_session_run(struct ipc_client *mailbox, struct front_loan *loan, struct arena *arena,
                                 struct failure *failure);

#endif
