/* imap: a logged-in session: what its commands share.
 *
 * A session runs in a process of the mailbox's user, as one task, on a connection that a front handed over: it
 * reads a command, does it, answers. The store blocks; that is nobody else's time. */
#ifndef TERN_IMAP_H
#define TERN_IMAP_H

#include "cache.h"
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
    struct buf command;    /* the bytes of the command under way, literals in their places */
    struct ahead *ahead;   /* what threads read for the command under way (ahead.h); NULL */
    struct buf file;       /* the message at hand, read; one at a time (fetch_item.h) */
    deadline unsettled;    /* when what was put off is to be settled; DEADLINE_NEVER: nothing is */
    uintptr_t heap_end;    /* when memory was last given back */
    unsigned bad_commands; /* in a row */
    struct str unread;    /* ends with the head of APPEND's literal, which nobody has taken yet; empty: there is none */
    int inotify;          /* for the next IDLE, with others' watches perhaps; -1: none */
    bool compressed;
    bool connection_lost;
    bool logging_out;
    bool idle_wanted;      /* the command under way was IDLE: hand back to the front */
    struct str tag;        /* of the command under way */
    bool uid_command;
    bool keeps_numbers;    /* no expunge may be told with the command under way: it speaks in sequence numbers (RFC
                              9051 7.5.1) */
    bool unknown_encoding; /* a part of this FETCH could not be decoded: NO [UNKNOWN-CTE] */
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
    COMMAND_NUMBERS = 2,      /* without UID, no sequence number may change while it runs: FETCH, STORE, SEARCH */
    COMMAND_RAW = 4,          /* reads more from the stream by itself: APPEND, IDLE */
};

struct imap_command {
    const char *name;
    unsigned states; /* set of enum imap_state in which it may be given */
    unsigned flags;
    struct imap_outcome (*run)(struct imap_session *session, struct imap_parser *parser, bool uid);
};
/* commands.c: the table, and that of the capabilities, each with the command that provides it. */
extern const struct imap_command imap_commands[];
extern const size_t imap_command_count;

/* session.c */
/* Serves until LOGOUT, IDLE, or the connection's end. session->stream, settings and store are set. */
void imap_session_serve(struct imap_session *session);
/* Closes the folder, frees what the session has beside stream and store. */
void imap_session_end(struct imap_session *session);

/* outcome.c */
struct imap_outcome imap_ok(const char *text);
struct imap_outcome imap_no(const char *code, const char *text);
/* BAD, or NO to a name that can be none. */
struct imap_outcome imap_bad(const struct imap_parser *parser);
/* NO with the code that fits (NONEXISTENT, ALREADYEXISTS, OVERQUOTA, LIMIT, UNAVAILABLE, ...). */
struct imap_outcome imap_store_trouble(enum store_result result, const struct failure *failure);

/* dialogue.c */
/* Names of mailboxes are UTF-8 on the wire. */
bool imap_is_utf8(const struct imap_session *session);
/* Appends to the answers; what has gathered is written when it is much. */
void imap_say(struct imap_session *session, const char *format, ...) PRINTF_LIKE(2, 3);
void imap_say_bytes(struct imap_session *session, struct str bytes);
/* The same for what there is one of for each message: a number, flags in brackets; no format, no buffer between. */
void imap_say_number(struct imap_session *session, uint64_t number);
void imap_say_flags(struct imap_session *session, const struct message_flags *flags);
/* `length` octets from `offset` on of the CR LF form of bytes, for a literal: NULs are shown as IMAP_NUL_SHOWN. */
void imap_say_view(struct imap_session *session, struct str bytes, uint64_t offset, uint64_t length);
/* Writes what has gathered. False: the connection is gone. */
bool imap_flush(struct imap_session *session);
/* For commands that read more (APPEND, IDLE, AUTHENTICATE): says "+ TEXT" and flushes. */
bool imap_continue(struct imap_session *session, const char *text);
/* The next line, within the time a client has. False: it is gone, or said too much (and has been told). */
MUST_USE bool imap_read_line(struct imap_session *session, struct str *line);

/* tell.c */
/* Synchronises and tells what has changed: EXPUNGE or VANISHED, EXISTS, RECENT, FETCH with flags. keep: no expunges. */
enum store_result imap_tell_changes(struct imap_session *session, bool keep, struct failure *failure);
/* Whether FETCH answers that nobody has asked for name the UID: of UID commands, and where CONDSTORE (RFC 7162 3.2.4)
 * or IMAP4rev2 (RFC 9051 7.5.2) is enabled. */
bool imap_tells_uids(const struct imap_session *session);
/* "* VANISHED (EARLIER)" with what was expunged after a modseq, among these UIDs (NULL: all), those up to `known`
 * apart. */
void imap_tell_earlier(struct imap_session *session, uint64_t modseq, const struct uid_set *asked, uint32_t known);
/* After an expunge that went well: tells it, and with CONDSTORE gives the answer its HIGHESTMODSEQ (RFC 7162 3.2.7, RFC
 * 6851 4.4). */
void imap_tell_expunged(struct imap_session *session, struct imap_outcome *outcome);
/* One "* n FETCH (UID u MODSEQ (m) FLAGS (...))"; with_uid: with the UID. */
void imap_tell_flags(struct imap_session *session, uint32_t sequence, bool with_uid);
/* "* FLAGS" and PERMANENTFLAGS as the folder has them. */
void imap_tell_keywords(struct imap_session *session);
/* The same if some are new: before flags are told that may name them. */
void imap_tell_new_keywords(struct imap_session *session);
/* CONDSTORE is on from here on, by ENABLE or by being used; tells HIGHESTMODSEQ if it was off. */
void imap_use_condstore(struct imap_session *session);
/* A sequence set of the command as UIDs of the selected folder; uid: they are UIDs already. False: a number is out
 * of range (BAD), or too much is asked. */
MUST_USE bool imap_resolve_sequence(struct imap_session *session, const struct imap_sequence *sequence, bool uid,
                                    struct uid_set *uids);
/* The same of a search's numbers: those that are not there find nothing, as other servers have it. */
MUST_USE bool imap_match_sequence(struct imap_session *session, const struct imap_sequence *sequence, bool uid,
                                  struct uid_set *uids);

/* settle.c */
/* What was changed is settled within a second or so: between commands and before the end. */
void imap_note_change(struct imap_session *session);
void imap_settle(struct imap_session *session);
/* Leaves the selected folder; expunge: as CLOSE does. */
enum store_result imap_leave(struct imap_session *session, bool expunge, struct failure *failure);

/* commands.c */
/* The words of CAPABILITY for this session, appended. */
void imap_capabilities(const struct imap_session *session, struct buf *text);

#endif
