/* imap: a logged-in session: what its commands share.
 *
 * A session runs in a process of the mailbox's user, as one task, on a connection that a front handed over: it
 * reads a command, does it, answers. The store blocks; that is nobody else's time. */
#ifndef TERN_IMAP_H
#define TERN_IMAP_H

#include "folder.h"
#include "grammar.h"
#include "session_channel.h"
#include "store.h"
#include "stream.h"

enum imap_state { IMAP_AUTHENTICATED = 1, IMAP_SELECTED = 2 };

enum imap_feature { /* ENABLE, and what turns itself on by being used */
    FEATURE_CONDSTORE = 1,
    FEATURE_QRESYNC = 2,
    FEATURE_UTF8 = 4,
    FEATURE_REV2 = 8, /* IMAP4rev2 */
};

struct imap_session {
    struct stream *stream;
    struct session_channel *channel; /* to the front; NULL in tests */
    const struct session_settings *settings;
    struct store *store;
    struct folder *folder; /* selected; NULL */
    unsigned features;     /* set of enum imap_feature */
    struct uid_set saved;  /* SEARCHRES: "$", UIDs */
    struct arena *arena;   /* of the command under way */
    struct buf out;        /* answers gather here; flushed when large and at the command's end */
    unsigned bad_commands; /* in a row */
    bool compressed;
    bool logging_out;
    bool idle_wanted;      /* the command under way was IDLE: hand back to the front */
    struct str tag;        /* of the command under way */
    uint32_t told_exists;  /* what the client was told last */
};

/* What a command came to; its tagged answer. */
enum imap_answer { ANSWER_OK, ANSWER_NO, ANSWER_BAD, ANSWER_SAID /* the command has answered by itself */ };
struct imap_outcome {
    enum imap_answer answer;
    const char *code; /* "READ-WRITE", "TRYCREATE"; NULL: none; or */
    struct str text;
    char code_text[300]; /* a code that was made; "": none */
};

enum imap_command_flag {
    COMMAND_UID = 1,          /* may stand behind UID */
    COMMAND_NUMBERS = 2,      /* no sequence number may change while it runs: FETCH, STORE, SEARCH (RFC 9051 7.5.1) */
    COMMAND_RAW = 4,          /* reads more from the stream by itself: APPEND, IDLE */
};

struct imap_command {
    const char *name;
    unsigned states; /* set of enum imap_state in which it may be given */
    unsigned flags;
    struct imap_outcome (*run)(struct imap_session *session, struct imap_parser *parser, bool uid);
};
/* commands.c: the table. CAPABILITY is printed from capabilities.def: each row names what provides it. */
extern const struct imap_command imap_commands[];
extern const size_t imap_command_count;

struct imap_outcome imap_ok(const char *text);
struct imap_outcome imap_no(const char *code, const char *text);
struct imap_outcome imap_bad(const struct imap_parser *parser);
/* NO with the code that fits (NONEXISTENT, ALREADYEXISTS, OVERQUOTA, LIMIT, UNAVAILABLE, ...). */
struct imap_outcome imap_store_trouble(enum store_result result, const struct failure *failure);

/* Serves until LOGOUT, IDLE, or the connection's end. */
void imap_session_serve(struct imap_session *session);
/* Untagged answers; all append to session->out. */
void imap_say(struct imap_session *session, const char *format, ...) PRINTF_LIKE(2, 3);
void imap_flush(struct imap_session *session);
/* Synchronises and tells what has changed: EXPUNGE or VANISHED, EXISTS, RECENT, FETCH with flags. keep: no expunges. */
enum store_result imap_tell_changes(struct imap_session *session, bool keep, struct failure *failure);
/* A sequence set of the command as UIDs of the selected folder; uid: they are UIDs already. False: BAD was it. */
MUST_USE bool imap_resolve_sequence(struct imap_session *session, const struct imap_sequence *sequence, bool uid,
                                    struct uid_set *uids);
/* Appends "* CAPABILITY ..."'s words for this session. */
void imap_capabilities(const struct imap_session *session, struct buf *text);

#endif
