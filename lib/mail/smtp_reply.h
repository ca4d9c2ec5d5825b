/* smtp_reply: what a server answers, read by the client side.
 *
 * RFC 5321 4.2 and 4.1.1.1 (EHLO keywords), RFC 2034 (enhanced codes). */
#ifndef TERN_SMTP_REPLY_H
#define TERN_SMTP_REPLY_H

#include "buf.h"
#include "status_code.h"
#include "str.h"

#define SMTP_REPLY_LINES_MAX 200
#define SMTP_REPLY_TEXT_MAX  8192

struct smtp_reply_line {
    unsigned code;   /* 200 to 599 */
    bool last;       /* a blank or nothing follows the code, not '-' */
    struct str text; /* after the separator */
};

/* Reads one line without its line end. False if it is no reply line. */
MUST_USE bool smtp_reply_parse_line(struct str line, struct smtp_reply_line *reply);

enum smtp_reply_result {
    SMTP_REPLY_MORE,     /* another line must come */
    SMTP_REPLY_DONE,     /* the reply is whole */
    SMTP_REPLY_BAD,      /* no reply line, or codes that differ within one reply */
    SMTP_REPLY_TOO_LONG, /* more lines or text than the limits: close the connection */
};

struct smtp_reply {
    unsigned code;             /* 0 before the first line */
    struct status_code status; /* of the first line; class 0 if there was none */
    unsigned lines;
    struct buf text; /* the lines' texts, LF between them, enhanced codes included */
};

struct smtp_reply smtp_reply_make(void);
/* Empties it for the next reply. */
void smtp_reply_clear(struct smtp_reply *reply);
void smtp_reply_free(struct smtp_reply *reply);
/* Adds a line without its line end. Enhanced codes whose class does not fit the
 * reply code are ignored. */
MUST_USE enum smtp_reply_result smtp_reply_add(struct smtp_reply *reply, struct str line);
/* Appends the whole reply as one line for log and DSN: "550 5.1.1 text text",
 * control characters as '?'. */
bool smtp_reply_append_line(struct buf *out, const struct smtp_reply *reply);
/* The status to record: the enhanced code if there is one, else C.0.0. */
struct status_code smtp_reply_status(const struct smtp_reply *reply);

/* X(NAME, keyword) */
#define SMTP_EXTENSION_TABLE(X)                                                                                        \
    X(PIPELINING, "PIPELINING")                                                                                        \
    X(SIZE, "SIZE")                                                                                                    \
    X(8BITMIME, "8BITMIME")                                                                                            \
    X(CHUNKING, "CHUNKING")                                                                                            \
    X(BINARYMIME, "BINARYMIME")                                                                                        \
    X(SMTPUTF8, "SMTPUTF8")                                                                                            \
    X(DSN, "DSN")                                                                                                      \
    X(STARTTLS, "STARTTLS")                                                                                            \
    X(AUTH, "AUTH")                                                                                                    \
    X(REQUIRETLS, "REQUIRETLS")                                                                                        \
    X(ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES")                                                                      \
    X(ETRN, "ETRN")                                                                                                    \
    X(VRFY, "VRFY")                                                                                                    \
    X(XCLIENT, "XCLIENT")                                                                                              \
    X(XFORWARD, "XFORWARD")                                                                                            \
    X(LIMITS, "LIMITS")                                                                                                \
    X(DELIVERBY, "DELIVERBY")                                                                                          \
    X(MT_PRIORITY, "MT-PRIORITY")                                                                                      \
    X(FUTURERELEASE, "FUTURERELEASE")                                                                                  \
    X(HELP, "HELP")

enum smtp_extension_number {
#define SMTP_EXTENSION_ENUM(name, keyword) SMTP_EXTENSION_NUMBER_##name,
    SMTP_EXTENSION_TABLE(SMTP_EXTENSION_ENUM)
#undef SMTP_EXTENSION_ENUM
        SMTP_EXTENSION_COUNT
};
/* Bits: SMTP_EXTENSION_SIZE, ... */
enum smtp_extension {
#define SMTP_EXTENSION_BIT(name, keyword) SMTP_EXTENSION_##name = 1 << SMTP_EXTENSION_NUMBER_##name,
    SMTP_EXTENSION_TABLE(SMTP_EXTENSION_BIT)
#undef SMTP_EXTENSION_BIT
};

struct smtp_ehlo {
    unsigned extensions; /* bits of enum smtp_extension */
    uint64_t size;       /* of SIZE; 0: no limit told */
    struct str auth;     /* AUTH's mechanisms, both spellings seen; borrowed from the line */
    struct str xclient;  /* XCLIENT's and XFORWARD's attribute names */
    struct str xforward;
    uint64_t rcpt_max; /* LIMITS RCPTMAX, MAILMAX (RFC 9422); 0 if not told */
    uint64_t mail_max;
    uint64_t rcpt_domain_max; /* RCPTDOMAINMAX */
};

/* Reads the text of an EHLO reply as smtp_reply collects it (lines parted by
 * LF, the first is the greeting). Unknown keywords are passed over; keywords in
 * ignore (bits) are not set. */
void smtp_ehlo_parse(struct str reply_text, unsigned ignore, struct smtp_ehlo *ehlo);
/* The bit for a keyword in any case, 0 if unknown. */
unsigned smtp_extension_from_keyword(struct str keyword);

#endif
