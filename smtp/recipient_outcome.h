/* recipient_outcome: what became of one recipient, put down for qmgr and said in the log. */
#ifndef TERN_SMTP_RECIPIENT_OUTCOME_H
#define TERN_SMTP_RECIPIENT_OUTCOME_H

#include "deliver.h"

/* The server took the responsibility: its last reply says so. Of a probe: it would take it. */
void recipient_sent(struct delivery *delivery, struct recipient *recipient, const struct connection *connection);
/* It did not: final if the trouble is permanent, or no other host may be tried. */
void recipient_troubled(struct delivery *delivery, struct recipient *recipient, const struct connection *connection,
                        const struct trouble *trouble);
/* Says its outcome in the log, as Postfix does. */
void recipient_log_outcome(const struct delivery *delivery, const struct recipient *recipient);

#endif
