/* smtp_command: the grammar of SMTP commands, the server's side.
 *
 * RFC 5321 4.1, with the parameters of RFC 1870 (SIZE), 6152 and 3030 (BODY,
 * BDAT), 6531 (SMTPUTF8), 3461 (DSN), 4954 (AUTH), 8689 (REQUIRETLS), and the
 * XCLIENT and XFORWARD attribute lists. Nothing is decided here: which
 * parameters are offered is the caller's list, and an error says which reply
 * belongs to it. Parsed strs borrow from the line. */
#ifndef TERN_SMTP_COMMAND_H
#define TERN_SMTP_COMMAND_H

#include "address.h"
#include "buf.h"
#include "domain.h"
#include "status_code.h"
#include "str.h"

#define SMTP_PARAMETERS_MAX      20  /* a command */
#define SMTP_ENVID_MAX           100 /* octets of xtext, RFC 3461 4.4 */
#define SMTP_ORCPT_MAX           500 /* RFC 3461 4.2 */
#define SMTP_AUTH_IDENTITY_MAX   500
#define SMTP_ATTRIBUTES_MAX      20 /* an XCLIENT or XFORWARD command */
#define SMTP_ATTRIBUTE_VALUE_MAX 255

/* A refusal, ready to be said: "501 5.5.4 text". */
struct smtp_command_error {
    unsigned reply_code;       /* 501, 503, 553, 555 */
    struct status_code status; /* 5.x.x */
    const char *text;          /* what is wrong, static */
    struct str what;           /* the piece of the line that is; borrowed, outside bytes */
};

/* Parts a command line (no line end) into verb and argument: trailing blanks
 * off; the verb is what stands before the first blank, the argument what
 * follows the blanks after it. False if there is no verb. */
bool smtp_command_split(struct str line, struct str *verb, struct str *argument);
/* True for a first word that a web browser or a header would send (GET, POST,
 * CONNECT, "From:", "Received:" ...): no SMTP client is talking. */
bool smtp_command_is_foreign(struct str verb);

enum smtp_body {
    SMTP_BODY_7BIT, /* also when the client said nothing */
    SMTP_BODY_8BITMIME,
    SMTP_BODY_BINARYMIME,
};
enum smtp_ret {
    SMTP_RET_UNSET,
    SMTP_RET_FULL,
    SMTP_RET_HDRS,
};
enum smtp_notify {
    SMTP_NOTIFY_NEVER = 1,
    SMTP_NOTIFY_SUCCESS = 2,
    SMTP_NOTIFY_FAILURE = 4,
    SMTP_NOTIFY_DELAY = 8,
};

/* Which parameters are accepted; one not in the set is an error 555 5.5.4, as
 * is one that nobody knows. */
enum smtp_parameter {
    SMTP_PARAMETER_SIZE = 1 << 0,
    SMTP_PARAMETER_8BITMIME = 1 << 1, /* BODY=7BIT and BODY=8BITMIME */
    SMTP_PARAMETER_BINARYMIME = 1 << 2,
    SMTP_PARAMETER_SMTPUTF8 = 1 << 3,
    SMTP_PARAMETER_DSN = 1 << 4, /* RET, ENVID, NOTIFY, ORCPT */
    SMTP_PARAMETER_AUTH = 1 << 5,
    SMTP_PARAMETER_REQUIRETLS = 1 << 6,
    SMTP_PARAMETER_DELIVERBY = 1 << 7,     /* BY= (RFC 2852) */
    SMTP_PARAMETER_MT_PRIORITY = 1 << 8,   /* RFC 6710 */
    SMTP_PARAMETER_FUTURERELEASE = 1 << 9, /* HOLDFOR=, HOLDUNTIL= (RFC 4865) */
};

struct smtp_mail {
    struct mail_address sender;
    bool has_size, has_body, smtputf8, has_auth, requiretls, has_by, has_priority;
    uint64_t size;
    enum smtp_body body;
    enum smtp_ret ret;
    struct str envid; /* xtext as sent; empty if not given */
    struct str auth;  /* xtext as sent, or "<>" */
    int64_t by_time;  /* seconds, may be negative */
    char by_mode;     /* 'N' or 'R' */
    bool by_trace;
    int priority;         /* -9 to 9 */
    struct str holdfor;   /* seconds, digits checked; empty if not given */
    struct str holduntil; /* RFC 3339 date, not checked further */
};

struct smtp_recipient {
    struct mail_address recipient;
    unsigned notify;       /* bits of enum smtp_notify; 0: not given */
    struct str orcpt_type; /* "rfc822", "utf-8"; empty if not given */
    struct str orcpt;      /* the address as sent: xtext, or a utf-8-addr form */
};

/* Reads the argument of MAIL ("FROM:<...> ..."). offered is of enum
 * smtp_parameter, address_flags of enum mail_address_flag (the null sender is
 * always allowed; UTF-8 only when the SMTPUTF8 parameter is there and offered).
 * False fills *error and leaves *mail untouched. */
MUST_USE bool smtp_parse_mail(struct str argument, unsigned offered, unsigned address_flags, struct smtp_mail *mail,
                              struct smtp_command_error *error);
/* Reads the argument of RCPT ("TO:<...> ..."); <postmaster> is always allowed.
 * UTF-8 in the address and in ORCPT needs MAIL_ADDRESS_UTF8 in address_flags. */
MUST_USE bool smtp_parse_rcpt(struct str argument, unsigned offered, unsigned address_flags,
                              struct smtp_recipient *recipient, struct smtp_command_error *error);

/* Reads BDAT's argument: size, and whether LAST. */
MUST_USE bool smtp_parse_bdat(struct str argument, uint64_t maximum, uint64_t *size, bool *last,
                              struct smtp_command_error *error);

/* NOTIFY's value: NEVER alone, or a comma list of the others. Also for `sendmail -N`. */
MUST_USE bool smtp_parse_notify(struct str value, unsigned *notify);
/* RET's value: FULL or HDRS, any case. */
MUST_USE bool smtp_parse_ret(struct str value, enum smtp_ret *ret);
/* "SUCCESS,FAILURE"; empty for 0. */
bool smtp_append_notify(struct buf *out, unsigned notify);

/* One NAME=value of XCLIENT or XFORWARD. */
struct smtp_attribute {
    struct str name;  /* as sent; compare without case */
    struct str value; /* decoded from xtext, into the caller's buf; no control characters, UTF-8 */
    bool unavailable; /* [UNAVAILABLE] or [TEMPUNAVAIL]: value is empty */
    bool temporary;   /* [TEMPUNAVAIL] */
};
/* Reads the whole list. values gets the decoded bytes (clear it first; the
 * attributes borrow from it). *count is at most SMTP_ATTRIBUTES_MAX. */
MUST_USE bool smtp_parse_attributes(struct str argument, struct buf *values,
                                    struct smtp_attribute attributes[SMTP_ATTRIBUTES_MAX], size_t *count,
                                    struct smtp_command_error *error);

enum smtp_helo_kind {
    SMTP_HELO_MISSING,     /* no argument */
    SMTP_HELO_INVALID,     /* neither name nor literal; may hold any printable octets */
    SMTP_HELO_BAD_LITERAL, /* in brackets, not an address */
    SMTP_HELO_ADDRESS,     /* an IPv4 or IPv6 address without brackets */
    SMTP_HELO_LITERAL,     /* [192.0.2.1], [IPv6:2001:db8::1] */
    SMTP_HELO_NAME,        /* a host name without a dot */
    SMTP_HELO_FQDN,
};
/* What a HELO or EHLO argument is. underscores: '_' is let pass in names. */
enum smtp_helo_kind smtp_helo_classify(struct str argument, bool underscores);

#endif
