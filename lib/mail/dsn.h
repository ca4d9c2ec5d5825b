/* dsn: delivery status notifications.
 *
 * RFC 3461 6, RFC 3464, RFC 6522, RFC 6533. Builds the text around the
 * returned message, so that the message itself can be streamed between prefix
 * and suffix. Lines end in LF. Everything that came from outside is cleaned on
 * its way in; no field can break out of its line. */
#ifndef TERN_DSN_H
#define TERN_DSN_H

#include "address.h"
#include "buf.h"
#include "status_code.h"
#include "str.h"

enum dsn_kind {
    DSN_FAILED,
    DSN_DELAYED,
    DSN_SUCCESS, /* delivered, relayed, expanded: asked for by NOTIFY=SUCCESS; and reports, of any action */
};
enum dsn_action {
    DSN_ACTION_FAILED,
    DSN_ACTION_DELAYED,
    DSN_ACTION_DELIVERED,
    DSN_ACTION_RELAYED,
    DSN_ACTION_EXPANDED,
    DSN_ACTION_DELIVERABLE, /* of probes; these two are words of Postfix's, not of the RFC */
    DSN_ACTION_UNDELIVERABLE,
};
enum dsn_return {
    DSN_RETURN_NOTHING,
    DSN_RETURN_HEADERS, /* text/rfc822-headers, or message/global-headers */
    DSN_RETURN_FULL,    /* message/rfc822, or message/global */
};

struct dsn_recipient {
    const struct mail_address *final;
    struct str original_type; /* ORCPT: "rfc822" ...; empty if not given */
    struct str original;      /* ORCPT's address, decoded; empty if not given */
    enum dsn_action action;
    struct status_code status;
    struct str diagnostic;    /* the reply or the reason; may have several lines */
    bool diagnostic_is_smtp;  /* Diagnostic-Code: smtp; ..., else x-tern; ... */
    struct str remote_mta;    /* host name; empty if none */
    int64_t last_attempt;     /* seconds; 0 if none */
    int64_t will_retry_until; /* seconds, for delays; 0 if not to be said */
};

struct dsn_report {
    enum dsn_kind kind;
    struct str from; /* header From in external form, e.g. "MAILER-DAEMON@example.com (Mail Delivery System)" */
    struct str to;   /* header To: the sender of the message, external form */
    struct str subject;
    struct str message_id; /* of the notification, with the angle brackets */
    int64_t date;          /* seconds */
    int offset_minutes;
    struct str boundary;               /* the caller made sure that the returned message does not hold it */
    struct str human_text;             /* already expanded; LF lines; UTF-8 */
    struct str human_charset;          /* empty: us-ascii, or utf-8 if human_text is not ASCII */
    struct str reporting_mta;          /* host name */
    struct str original_envelope_id;   /* ENVID decoded; empty if not given */
    int64_t arrival_date;              /* seconds; 0 if not known */
    struct str queue_id;               /* X-Tern-Queue-ID; empty to leave out */
    const struct mail_address *sender; /* X-Tern-Sender; NULL to leave out */
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    enum dsn_return returned;
    bool returned_has_utf8_headers; /* message/global and its kin */
    bool returned_is_8bit;          /* Content-Transfer-Encoding: 8bit */
};

/* Appends the whole notification up to where the returned message's first byte
 * goes: header, text part, status part, the third part's header. False if out's
 * limit was reached. */
bool dsn_append_prefix(struct buf *out, const struct dsn_report *report);
/* Appends what follows the returned message (which must end in LF): the closing
 * boundary. */
bool dsn_append_suffix(struct buf *out, const struct dsn_report *report);
/* Appends the recipient as lines of the text part: "<addr>: diagnostic", folded; where the notice itself does not say
 * what became of all of them, "<addr>: action: diagnostic". */
bool dsn_append_recipient_text(struct buf *out, const struct dsn_recipient *recipient, bool with_action);
/* True if the notification needs SMTPUTF8 to travel. */
bool dsn_needs_utf8(const struct dsn_report *report);
/* "failed", "delayed" ... */
const char *dsn_action_text(enum dsn_action action);

#endif
