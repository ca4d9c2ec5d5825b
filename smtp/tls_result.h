/* tls_result: what came of TLS with a host, for those who report on it (RFC 8460). */
#ifndef TERN_SMTP_TLS_RESULT_H
#define TERN_SMTP_TLS_RESULT_H

#include "tls_plan.h"

struct tls_result {
    const char *type;   /* RFC 8460 section 4.3, "certificate-expired"; NULL: success */
    const char *reason; /* the library's words; may be empty */
    const char *helo;   /* the server's name in its EHLO answer; "" if it was not heard */
    const char *from;   /* our own address; NULL: not known */
    bool reused;        /* the handshake resumed a session */
    bool is_sts;        /* with plan NULL: it was an MTA-STS policy that could not be had, not TLSA records */
};

/* Called once for each attempt: after the handshake, when STARTTLS was not offered or went wrong, and when there was
 * no plan because a look-up failed (plan NULL). Not for connections that are used again. */
void tls_result_note(struct smtp *smtp, const struct tls_question *question, const struct tls_plan *plan,
                     const struct tls_result *result);

#endif
