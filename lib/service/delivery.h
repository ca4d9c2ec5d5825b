/* The words that travel in IPC messages as numbers: one enum for each. */
#ifndef TERN_DELIVERY_H
#define TERN_DELIVERY_H

/* RFC 3461 NOTIFY, a set. */
enum notify_flag { NOTIFY_NONE = 0, NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
/* RFC 3461 RET. */
enum return_content { RETURN_NOT_GIVEN = 0, RETURN_FULL = 1, RETURN_HEADERS = 2 };
/* What the content needs: decides 8BITMIME and BINARYMIME; BODY_BINARY content is stored raw (CR LF kept). */
enum body_type { BODY_7BIT = 0, BODY_8BIT = 1, BODY_BINARY = 2 };
/* What became of a recipient. */
enum delivery_action {
    DELIVERY_DELIVERED = 0, /* in a mailbox, or whatever final delivery means */
    DELIVERY_RELAYED = 1,   /* handed to a server that does not do DSN: success notice says "relayed" */
    DELIVERY_RELAYED_DSN = 2, /* handed to one that does: the notice is its business */
    DELIVERY_EXPANDED = 3,  /* became other recipients (alias): "expanded" */
    DELIVERY_DEFERRED = 4,  /* try again later */
    DELIVERY_FAILED = 5,    /* permanent */
};
/* Which notice bounce writes. */
enum notice_kind {
    NOTICE_FAILED = 0,
    NOTICE_DELAYED = 1,
    NOTICE_SUCCESS = 2,
    NOTICE_REPORT = 3, /* REPORT_DELIVERY's */
    NOTICE_PROBE = 4,  /* REPORT_VERIFY's */
};
/* What the sender asked to be told of every recipient, whatever NOTIFY says. Kept in queue files. */
enum report_kind {
    REPORT_NONE = 0,
    REPORT_DELIVERY = 1, /* what became of each at the first attempt (sendmail -v) */
    REPORT_VERIFY = 2,   /* what would become of each: a probe, which is never delivered (sendmail -bv) */
};
/* ternsuper's wishes. */
enum queue_change { QUEUE_DELETE = 0, QUEUE_HOLD = 1, QUEUE_RELEASE = 2, QUEUE_REQUEUE = 3, QUEUE_EXPIRE = 4, QUEUE_EXPIRE_RELEASE = 5 };
/* tern submission's wishes for an account: its mail goes on hold, or no longer does; what is on hold goes on, or goes. */
enum login_change { LOGIN_CHANGE_HOLD = 0, LOGIN_CHANGE_LIFT = 1, LOGIN_CHANGE_RELEASE = 2, LOGIN_CHANGE_DELETE = 3 };
/* Postfix's address classes. */
enum address_class { CLASS_LOCAL = 0, CLASS_VIRTUAL_ALIAS = 1, CLASS_VIRTUAL_MAILBOX = 2, CLASS_RELAY = 3, CLASS_DEFAULT = 4 };
enum local_kind { LOCAL_UNKNOWN = 0, LOCAL_ALIAS = 1, LOCAL_USER = 2, LOCAL_VIRTUAL = 3, LOCAL_ACCOUNT = 4 };
enum expansion_kind { EXPANSION_ADDRESS = 0, EXPANSION_COMMAND = 1, EXPANSION_FILE = 2, EXPANSION_INCLUDE = 3 };

#endif
