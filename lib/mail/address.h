/* address: envelope addresses, the value that travels through the suite.
 *
 * RFC 5321 4.1.2 (Path, Mailbox), RFC 6531 3.3 (UTF-8). The value is checked
 * once when it is made; whoever holds a struct mail_address holds a local part
 * without control characters and a domain (or literal) of valid syntax. The
 * local part is kept without quotes and quoted again on the way out. A value
 * is plain memory: copy it by assignment. */
#ifndef TERN_ADDRESS_H
#define TERN_ADDRESS_H

#include "buf.h"
#include "domain.h"
#include "str.h"

#define MAIL_ADDRESS_LOCAL_MAX      64  /* octets, RFC 5321 4.5.3.1.1 */
#define MAIL_ADDRESS_PATH_MAX       256 /* with the angle brackets, 4.5.3.1.3 */
#define MAIL_ADDRESS_LOCAL_LONG_MAX 255 /* with MAIL_ADDRESS_LONG */
#define MAIL_ADDRESS_TEXT_MAX       512 /* local part, '@' and domain, whatever the flags */
#define MAIL_ADDRESS_ROUTE_MAX      512 /* a source route that is dropped */

enum mail_address_flag {
    MAIL_ADDRESS_UTF8 = 1,        /* UTF-8 in local part and domain (SMTPUTF8) */
    MAIL_ADDRESS_STRICT = 2,      /* paths need angle brackets directly after the colon; no source
                                     route without them; no '_' in domains, no dots out of place */
    MAIL_ADDRESS_LONG = 4,        /* local parts up to 255 octets: VERP and SRS exceed 64 */
    MAIL_ADDRESS_NULL = 8,        /* the null sender <> */
    MAIL_ADDRESS_POSTMASTER = 16, /* <postmaster> without a domain, any case */
    MAIL_ADDRESS_LOCAL_ONLY = 32, /* any local part without a domain */
};

enum mail_address_result {
    MAIL_ADDRESS_OK,
    MAIL_ADDRESS_SYNTAX,        /* 5.1.3 or 5.1.7: not a path or mailbox */
    MAIL_ADDRESS_BAD_CHARACTER, /* a control character, NUL, or malformed UTF-8 */
    MAIL_ADDRESS_NEEDS_UTF8,    /* non-ASCII without MAIL_ADDRESS_UTF8: 5.6.7, 553 */
    MAIL_ADDRESS_TOO_LONG,      /* a limit above */
    MAIL_ADDRESS_BAD_DOMAIN,    /* the part after '@' is no domain or literal */
    MAIL_ADDRESS_NO_DOMAIN,     /* a domain is required */
    MAIL_ADDRESS_NULL_REFUSED,  /* <> where it is not allowed */
};

enum mail_address_trait {
    MAIL_ADDRESS_LEADING_DASH = 1, /* local part begins with '-': dangerous as a command's argument */
    MAIL_ADDRESS_ROUTED = 2,       /* '@', '%' or '!' in the local part: sender-controlled routing */
    MAIL_ADDRESS_QUOTED = 4,       /* the local part needs quotes in external form */
    MAIL_ADDRESS_NON_ASCII = 8,    /* may only travel with SMTPUTF8 */
};

struct mail_address {
    uint16_t local_length;
    uint16_t domain_length;               /* 0: no domain */
    char text[MAIL_ADDRESS_TEXT_MAX + 1]; /* local, then '@' and domain if there is one; NUL-terminated */
};

/* Words for a result, for a reply: "bad address syntax" ... */
const char *mail_address_result_text(enum mail_address_result result);

/* Reads a Path at the start of an SMTP argument (what follows "FROM:" or
 * "TO:"). *rest is what follows the path without leading blanks: the
 * parameters. A source route is read and dropped. Without
 * MAIL_ADDRESS_STRICT blanks before the path and a path without angle brackets
 * are accepted. */
MUST_USE enum mail_address_result mail_address_parse_path(struct str argument, unsigned flags,
                                                          struct mail_address *address, struct str *rest);
/* Reads the whole text as a Mailbox in external form (quoted where needed), no
 * angle brackets; empty text is the null address (with MAIL_ADDRESS_NULL). */
MUST_USE enum mail_address_result mail_address_parse(struct str text, unsigned flags, struct mail_address *address);
/* Takes text in internal form: the last '@' parts local part and domain, no
 * quoting is undone. */
MUST_USE enum mail_address_result mail_address_from_internal(struct str text, unsigned flags,
                                                             struct mail_address *address);
/* Puts an address together; an empty domain gives one without. */
MUST_USE enum mail_address_result mail_address_from_parts(struct str local, struct str domain, unsigned flags,
                                                          struct mail_address *address);

static inline struct str mail_address_local(const struct mail_address *address) {
    return str_make(address->text, address->local_length);
}
static inline struct str mail_address_domain(const struct mail_address *address) {
    return address->domain_length ? str_make(address->text + address->local_length + 1, address->domain_length)
                                  : STR_EMPTY;
}
/* The internal form, "local@domain" without quotes; empty for the null address. */
static inline struct str mail_address_text(const struct mail_address *address) {
    return str_make(address->text,
                    (size_t)address->local_length + (address->domain_length ? (size_t)address->domain_length + 1 : 0));
}
static inline bool mail_address_is_null(const struct mail_address *address) {
    return address->local_length == 0 && address->domain_length == 0;
}

/* Bits of enum mail_address_trait. */
unsigned mail_address_traits(const struct mail_address *address);

/* Appends the external form: local part quoted if it must be, no brackets. */
bool mail_address_append_external(struct buf *out, const struct mail_address *address);
/* Appends the external form in angle brackets; "<>" for the null address. */
bool mail_address_append_path(struct buf *out, const struct mail_address *address);
/* Appends an address given in internal form in external form; what is no address goes as it is. */
bool mail_address_append_text(struct buf *out, struct str internal);
/* Appends a local part alone, quoted if RFC 5321 wants it. */
bool mail_address_append_local(struct buf *out, struct str local);

enum mail_address_fold {
    MAIL_FOLD_LOCAL = 1,        /* ASCII letters of the local part in lower case too */
    MAIL_FOLD_ASCII_DOMAIN = 2, /* U-labels become A-labels */
    MAIL_FOLD_EXTERNAL = 4,     /* local part quoted where needed: the form that table files hold */
};
/* Appends the lookup key: internal form (or external), domain in lower case (ASCII letters),
 * IPv6 literals in their one shortest form. Flags are of enum mail_address_fold. */
bool mail_address_append_key(struct buf *out, const struct mail_address *address, unsigned flags);
/* Local parts equal octet by octet, domains but for ASCII case. */
bool mail_address_equal(const struct mail_address *a, const struct mail_address *b);

/* Parts a local part at the first of the delimiters (recipient_delimiter, each
 * character one) that is not its first octet. False, and *base the whole, if
 * there is no extension, or for the names that are never split: postmaster,
 * mailer-daemon, double-bounce, and with owner_request owner-LIST and
 * LIST-request when '-' is a delimiter. *extension is without the delimiter. */
bool mail_address_split_extension(struct str local, struct str delimiters, bool owner_request, struct str *base,
                                  struct str *extension);

#endif
