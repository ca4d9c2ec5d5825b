/* tls_sts: MTA-STS in a plan (RFC 8461). Called by tls_plan_make when DANE has not decided. */
#ifndef TERN_SMTP_TLS_STS_H
#define TERN_SMTP_TLS_STS_H

#include "tls_plan.h"

/* Raises the plan to what the policy of the next hop's domain asks: in mode enforce level SECURE with the host's own
 * name as the one expected, in mode testing the same with report_only. False: the host is not in an enforced policy, or
 * cannot be used now; *trouble says why. */
MUST_USE bool tls_sts_apply(struct smtp *smtp, const struct tls_question *question, struct arena *arena,
                            struct tls_plan *plan, struct trouble *trouble);

#endif
