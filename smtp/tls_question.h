/* tls_question: with whom TLS is to be spoken, and for which message: what a plan is made of. */
#ifndef TERN_SMTP_TLS_QUESTION_H
#define TERN_SMTP_TLS_QUESTION_H

#include "hosts.h"
#include "next_hop.h"
#include "route.h"

struct tls_question {
    struct str next_hop_text; /* as it was given: the key of smtp_tls_policy_maps */
    const struct next_hop *next_hop;
    const struct route *route;
    const struct host *host;
    bool will_log_in;      /* a password would go over it: a handshake that fails is not followed by plain text */
    bool require_tls;      /* the message is REQUIRETLS (RFC 8689 section 4) */
    bool tls_not_required; /* it bears TLS-Required: No (section 5) */
    bool unreported;       /* its results are not gathered: it is a report on TLS */
};

/* The domain whose policies and records count for the next hop: lower case, A-labels; empty if it has none. Lives in
 * the arena. */
struct str tls_question_domain(const struct tls_question *question, struct arena *arena);

#endif
