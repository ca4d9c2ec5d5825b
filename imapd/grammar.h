/* grammar: IMAP commands as data (RFC 9051 section 9, RFC 3501, and the extensions that tern has). Pure.
 *
 * A command is taken from the bytes of all of it, literals in their places as "{5}\r\nhello": session.c and front.c
 * collect them. Everything points into these bytes or into the arena. Limits on depth and counts are in here;
 * what goes beyond them is a syntax error with a text that says so. */
#ifndef TERN_IMAP_GRAMMAR_H
#define TERN_IMAP_GRAMMAR_H

#include "buf.h"
#include "compiler.h"
#include "folder.h"
#include "imap_section.h"
#include "memory.h"
#include "str.h"
#include "uid_set.h"

#define IMAP_DEPTH_MAX   50    /* of parentheses, OR and NOT */
#define IMAP_ITEMS_MAX   1000  /* fetch items, search keys, flags, header names, ... of a command */
#define IMAP_FETCH_MAX   200   /* items of a FETCH */
#define IMAP_RANGES_MAX  100000

struct imap_parser {
    struct str rest;
    struct arena *arena;
    bool utf8; /* UTF8=ACCEPT: quoted strings may be UTF-8, mailbox names are; else modified UTF-7 */
    const char *error; /* what was expected, for "BAD"; NULL: nothing is wrong */
    bool refused;      /* the grammar is kept, but what is named cannot be: NO, with the error as its text */
};

/* Says what was expected, whatever was said before, and returns false. */
static inline bool imap_expected(struct imap_parser *parser, const char *what) {
    parser->error = what;
    return false;
}

/* The next octets if they are these, in any case. */
static inline bool imap_take_word(struct imap_parser *parser, struct str word) {
    if (!str_starts_nocase(parser->rest, word)) return false;
    parser->rest = str_from_offset(parser->rest, word.length);
    return true;
}

/* ---- words. Each takes what it is named after and leaves the parser untouched (error set) if it is not there. */
MUST_USE bool imap_take_space(struct imap_parser *parser);
MUST_USE bool imap_take_char(struct imap_parser *parser, char c);
bool imap_peek_char(const struct imap_parser *parser, char c);
MUST_USE bool imap_take_end(struct imap_parser *parser);
MUST_USE bool imap_take_tag(struct imap_parser *parser, struct str *tag);
MUST_USE bool imap_take_atom(struct imap_parser *parser, struct str *atom);
MUST_USE bool imap_take_number(struct imap_parser *parser, uint64_t maximum, uint64_t *number);
/* atom, quoted or literal; decoded into the arena if need be. */
MUST_USE bool imap_take_astring(struct imap_parser *parser, struct str *string);
MUST_USE bool imap_take_string(struct imap_parser *parser, struct str *string);
MUST_USE bool imap_take_nstring(struct imap_parser *parser, struct str *string, bool *is_nil);
/* A mailbox name as UTF-8 ("INBOX" normalised); list: with the wildcards of LIST. */
MUST_USE bool imap_take_mailbox(struct imap_parser *parser, struct str *mailbox);
/* The same, and the empty name: LIST's reference. */
MUST_USE bool imap_take_mailbox_or_empty(struct imap_parser *parser, struct str *mailbox);
/* A pattern that can be none is IMAP_PATTERN_OF_NONE, which no name matches. */
#define IMAP_PATTERN_OF_NONE "\xff"
MUST_USE bool imap_take_list_mailbox(struct imap_parser *parser, struct str *pattern);
/* Sequence sets are resolved later, when "*" is known; "$" is the saved result. */
struct imap_sequence {
    struct str text;
    bool saved; /* "$" */
};
/* "1:100" or "-1:-100" of PARTIAL (RFC 9394): both bounds of one sign, neither 0. */
MUST_USE bool imap_take_partial(struct imap_parser *parser, int32_t *first, int32_t *last);
MUST_USE bool imap_take_sequence(struct imap_parser *parser, struct imap_sequence *sequence);

/* What a client says of itself, from behind "ID " to the end (RFC 2971): NIL, or names and values. */
#define IMAP_ID_MAX 30
struct imap_id {
    struct str names[IMAP_ID_MAX], values[IMAP_ID_MAX]; /* a value's data is NULL: NIL */
    unsigned count;
};
MUST_USE bool imap_parse_id(struct imap_parser *parser, struct imap_id *id);

struct imap_flags {
    unsigned system; /* enum message_flag */
    struct str *keywords;
    size_t keyword_count;
};
/* "(\Seen Work)", and without parentheses if loose (STORE). */
MUST_USE bool imap_take_flags(struct imap_parser *parser, bool loose, struct imap_flags *flags);
/* "17-Jul-1996 02:44:25 -0700", quoted; seconds since the epoch. */
MUST_USE bool imap_take_date_time(struct imap_parser *parser, int64_t *seconds);

/* ---- FETCH */

enum imap_fetch_kind {
    FETCH_FLAGS, FETCH_UID, FETCH_INTERNALDATE, FETCH_RFC822_SIZE, FETCH_ENVELOPE, FETCH_BODYSTRUCTURE,
    FETCH_BODY,        /* the structure without extension data */
    FETCH_SECTION,     /* BODY[...]<...> */
    FETCH_BINARY,      /* BINARY[...]<...> */
    FETCH_BINARY_SIZE,
    FETCH_RFC822, FETCH_RFC822_HEADER, FETCH_RFC822_TEXT,
    FETCH_MODSEQ, FETCH_EMAILID, FETCH_THREADID, FETCH_SAVEDATE, FETCH_PREVIEW,
};
struct imap_fetch_section {
    struct imap_section section; /* what stands in the brackets */
    struct str *fields;          /* of HEADER.FIELDS */
    size_t field_count;
    bool partial;
    uint64_t offset, length; /* of <offset.length> */
    struct str written;      /* as it stands in the answer, "[1.2.HEADER.FIELDS (DATE)]" */
};
struct imap_fetch_item {
    enum imap_fetch_kind kind;
    bool peek; /* does not set \Seen */
    bool lazy; /* PREVIEW (LAZY) */
    struct imap_fetch_section section;
};
struct imap_fetch {
    struct imap_sequence sequence;
    struct imap_fetch_item *items; /* macros resolved */
    size_t count;
    bool has_changed_since, vanished;
    uint64_t changed_since;
    int32_t partial_first, partial_last; /* RFC 9394, of UID FETCH; negative: from the end; 0: not given */
};
/* From behind "FETCH " to the end of the command. */
MUST_USE bool imap_parse_fetch(struct imap_parser *parser, struct imap_fetch *fetch);

/* ---- STORE, COPY, MOVE, EXPUNGE */

struct imap_store {
    struct imap_sequence sequence;
    enum flags_change change;
    bool silent, has_unchanged_since;
    uint64_t unchanged_since;
    struct imap_flags flags;
};
MUST_USE bool imap_parse_store(struct imap_parser *parser, struct imap_store *store);
struct imap_copy {
    struct imap_sequence sequence;
    struct str mailbox;
};
MUST_USE bool imap_parse_copy(struct imap_parser *parser, struct imap_copy *copy);

/* ---- SEARCH, SORT, THREAD */

enum imap_key_kind {
    KEY_ALL, KEY_AND, KEY_OR, KEY_NOT, /* AND: of first..; OR: of two; NOT: of one */
    KEY_FLAG, KEY_NO_FLAG,       /* system flag (RECENT too) or keyword */
    KEY_NEW, KEY_OLD,
    KEY_SEQUENCE, KEY_UID,
    KEY_HEADER,                  /* field, text; FROM TO CC BCC SUBJECT are this too */
    KEY_BODY, KEY_TEXT,
    KEY_LARGER, KEY_SMALLER,     /* number */
    KEY_BEFORE, KEY_ON, KEY_SINCE, KEY_SENT_BEFORE, KEY_SENT_ON, KEY_SENT_SINCE, /* day: days since 1970 */
    KEY_SAVED_BEFORE, KEY_SAVED_ON, KEY_SAVED_SINCE, KEY_SAVE_DATE_SUPPORTED,
    KEY_OLDER, KEY_YOUNGER,      /* number: seconds */
    KEY_MODSEQ,                  /* number */
    KEY_EMAIL_ID, KEY_THREAD_ID, /* text */
};
struct imap_key {
    enum imap_key_kind kind;
    struct imap_key *first, *next; /* children; next of the same parent */
    unsigned flag;                 /* enum message_flag; 0: the keyword */
    struct str keyword, field, text;
    uint64_t number;
    int64_t day;
    struct imap_sequence sequence;
};
enum imap_search_return {
    RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8, RETURN_SAVE = 16, RETURN_PARTIAL = 32,
};
enum imap_sort_key {
    SORT_ARRIVAL,
    SORT_CC,
    SORT_DATE,
    SORT_FROM,
    SORT_SIZE,
    SORT_SUBJECT,
    SORT_TO,
    SORT_DISPLAYFROM,
    SORT_DISPLAYTO
};
struct imap_search {
    bool extended;    /* RETURN was given: ESEARCH answers */
    unsigned returns; /* set of enum imap_search_return */
    int32_t partial_first, partial_last; /* RFC 9394; negative: from the end */
    struct str charset;                  /* empty: not given */
    struct imap_key *key;
    bool has_modseq;  /* the answer must tell the highest */
    bool has_numbers; /* sequence numbers are among the keys */
    struct { enum imap_sort_key key; bool reverse; } sort[16];
    size_t sort_count; /* SORT */
    struct str algorithm; /* THREAD */
};
/* From behind the command's name. */
MUST_USE bool imap_parse_search(struct imap_parser *parser, struct imap_search *search);
MUST_USE bool imap_parse_sort(struct imap_parser *parser, struct imap_search *search);
MUST_USE bool imap_parse_thread(struct imap_parser *parser, struct imap_search *search);

/* ---- mailboxes */

struct imap_select {
    struct str mailbox;
    bool condstore, qresync;
    uint32_t uid_validity;
    uint64_t modseq;
    struct str known_uids; /* sequence set; empty: not given */
    struct str match_sequences, match_uids;
};
MUST_USE bool imap_parse_select(struct imap_parser *parser, struct imap_select *select);
struct imap_create {
    struct str mailbox;
    bool unknown_use; /* a use that is none of these */
    unsigned special; /* enum store_special */
};
MUST_USE bool imap_parse_create(struct imap_parser *parser, struct imap_create *create);
enum imap_status_item {
    STATUS_MESSAGES = 1, STATUS_RECENT = 2, STATUS_UIDNEXT = 4, STATUS_UIDVALIDITY = 8, STATUS_UNSEEN = 16,
    STATUS_DELETED = 32, STATUS_SIZE = 64, STATUS_HIGHESTMODSEQ = 128, STATUS_APPENDLIMIT = 256, STATUS_MAILBOXID = 512,
    STATUS_DELETED_STORAGE = 1024,
};
MUST_USE bool imap_take_status_items(struct imap_parser *parser, unsigned *items); /* "(MESSAGES UNSEEN)" */
enum imap_list_option {
    LIST_SUBSCRIBED = 1, LIST_REMOTE = 2, LIST_RECURSIVE_MATCH = 4, LIST_SPECIAL_USE = 8,
    LIST_RETURN_CHILDREN = 16, LIST_RETURN_SUBSCRIBED = 32, LIST_RETURN_SPECIAL_USE = 64, LIST_RETURN_STATUS = 128,
};
struct imap_list {
    unsigned options;
    unsigned status; /* enum imap_status_item, with LIST_RETURN_STATUS */
    bool extended;   /* options or several patterns were given */
    struct str reference;
    struct str *patterns;
    size_t pattern_count;
};
MUST_USE bool imap_parse_list(struct imap_parser *parser, struct imap_list *list);

/* ---- APPEND: what stands before a message's literal; the literal itself is read by the session */

struct imap_append_message {
    struct imap_flags flags;
    bool has_date;
    int64_t date;
    bool is_utf8;   /* UTF8 (~{...}) */
    bool is_binary; /* ~{...}: literal8 */
    uint64_t size;
    bool synchronizing; /* the client waits for "+" */
};
/* The mailbox of "APPEND mailbox ". */
MUST_USE bool imap_parse_append_mailbox(struct imap_parser *parser, struct str *mailbox);
/* "(\Seen) "date" {123}" up to and with the literal's head, which ends the line. */
MUST_USE bool imap_parse_append_message(struct imap_parser *parser, struct imap_append_message *message);

/* ---- what ends a line: "{5}" or "{5+}" or "~{5}". False: no literal. */
struct imap_literal {
    uint64_t size;
    bool synchronizing, binary;
};
bool imap_line_literal(struct str line, struct imap_literal *literal);

/* ---- answers */

/* No literal may hold a NUL octet (RFC 3501 section 9; ~{...} may): a message's is shown as this one, as by other
 * servers, so that sizes stay true. */
#define IMAP_NUL_SHOWN ((char)0x80)
/* Replaces NULs from an offset on. */
void imap_hide_nuls(struct buf *text, size_t from);

/* Appends a string as quoted, or as a literal where it cannot be. */
void imap_append_string(struct buf *text, struct str string, bool utf8);
/* A mailbox's name: modified UTF-7 unless utf8; atom or quoted. */
void imap_append_mailbox(struct buf *text, struct str mailbox, bool utf8);
void imap_append_flags(struct buf *text, const struct folder *folder, const struct message_flags *flags);

#endif
