/* received: the trace field and the fields a submission lacks.
 *
 * RFC 5321 4.4, RFC 3848 and 6531 4.3 (protocol names), RFC 8314 4.3, RFC 5322
 * 3.6. Every piece is cleaned: no control character, no comment delimiter and
 * no line end of a stranger's gets through. Lines end in LF. */
#ifndef TERN_RECEIVED_H
#define TERN_RECEIVED_H

#include "address.h"
#include "buf.h"
#include "str.h"

enum received_tls_client {
    RECEIVED_CLIENT_UNASKED,
    RECEIVED_CLIENT_SILENT, /* was asked for a certificate and showed none */
    RECEIVED_CLIENT_UNVERIFIED,
    RECEIVED_CLIENT_VERIFIED,
};

struct received {
    struct str helo;           /* what the client called itself; empty if it did not */
    struct str client_name;    /* verified reverse name, or "unknown" */
    struct str client_address; /* presentation form; IPv6 gets its tag here; empty: the client is not named */
    struct str by;             /* our host name */
    struct str with;           /* ESMTPSA and so on: see received_protocol */
    struct str queue_id;
    const struct mail_address *recipient; /* only when there is exactly one, else NULL */
    int64_t date;                         /* seconds */
    int offset_minutes;
    struct str tls_protocol;  /* "TLSv1.3"; empty without TLS */
    struct str tls_cipher;    /* "TLS_AES_256_GCM_SHA384 (256/256 bits)" */
    struct str tls_details;   /* more for the TLS comment: "key-exchange X25519 ..."; may be empty */
    enum received_tls_client tls_client; /* with TLS: what there is to say of the client's certificate */
    struct str tls_subject, tls_issuer;  /* its names */
    struct str authenticated; /* the user to name; empty to say nothing */
    struct str mail_name;     /* "tern": the comment after by; empty to leave out */
    int64_t user_id;          /* local submission, with helo and client empty: (from userid N); -1 if none */
    int priority;             /* RFC 6710 section 4.7; 0 is not said */
};

/* Appends "Received: ..." and LF. */
bool received_append(struct buf *out, const struct received *received);

enum received_flag {
    RECEIVED_EHLO = 1,
    RECEIVED_TLS = 2,
    RECEIVED_AUTHENTICATED = 4,
    RECEIVED_UTF8 = 8,
    RECEIVED_LMTP = 16,
};
/* "SMTP", "ESMTP", "ESMTPSA", "UTF8SMTPS", "LMTPS" ... for bits of enum received_flag. */
const char *received_protocol(unsigned flags);

/* "<YYYYMMDDhhmmss.QUEUEID@host>", without the field's name. */
bool message_id_append(struct buf *out, int64_t seconds, struct str queue_id, struct str host);
/* The fields themselves, with LF. name is the full name for From:, may be empty. */
bool message_id_field_append(struct buf *out, int64_t seconds, struct str queue_id, struct str host);
bool date_field_append(struct buf *out, int64_t seconds, int offset_minutes);
bool from_field_append(struct buf *out, struct str name, const struct mail_address *address);

#endif
