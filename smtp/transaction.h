/* transaction: one message to one server, MAIL to the last reply. */
#ifndef TERN_SMTP_TRANSACTION_H
#define TERN_SMTP_TRANSACTION_H

#include "deliver.h"

enum transaction_end {
    TRANSACTION_ENDED, /* every recipient tried has an outcome or waits with a reason */
    TRANSACTION_STALE, /* the connection, used before, had died: nothing was said, try a fresh one */
};

/* Tries the waiting recipients that were not tried in this session. connection->loss
 * and closing say whether it can be used again. */
MUST_USE enum transaction_end transaction_run(struct delivery *delivery, struct connection *connection);

#endif
