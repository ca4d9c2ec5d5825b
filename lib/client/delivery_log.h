/* The delivery line of the log, the same for every agent and for qmgr:
 * QID: to=<..>, [orig_to=<..>,] relay=.., [conn_use=n,] delay=.., delays=a/b/c/d, [tls=..,] dsn=x.y.z, status=.. (text)
 * The status is sent, deferred or bounced; of a probe, for which nothing is ever tried again, deliverable or
 * undeliverable. */
#ifndef TERN_DELIVERY_LOG_H
#define TERN_DELIVERY_LOG_H

#include "config.h"
#include "delivery.h"
#include "ipc.h"

struct delivery_times {
    int64_t arrival, activated, started; /* dates, microseconds: taken in, taken up by qmgr, given to the agent */
    struct str tls;                      /* for tls=; empty: it is left out */
};

/* Appends an address as the log has it: in external form, so that no quoted local part can end the field and
 * pretend to be others. */
void delivery_log_address(struct buf *out, struct str address);
/* One line for one recipient's outcome. A failure that soft_bounce makes a deferral is called SOFTBOUNCE. */
void delivery_log(const struct config *config, struct str queue_id, const struct delivery_times *times,
                  struct str address, struct str original, const struct ipc_outcome *outcome, bool probe);
/* "sent" ... */
const char *delivery_status_word(uint64_t action, bool probe);

#define DELIVERY_STATUS_SIZE 13
/* With soft_bounce a failure becomes a deferral, its status code the same of class 4, written into status, to which
 * the outcome then points. True if it did so. Not for probes, which are never tried again. */
bool delivery_soften(const struct config *config, struct ipc_outcome *outcome, char status[DELIVERY_STATUS_SIZE]);

#endif
