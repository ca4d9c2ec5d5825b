/* submit: handing a message over from a command: to pickup if the server runs and takes it,
 * else through the set-gid program drop into the drop folder. */
#ifndef TERN_SUBMIT_H
#define TERN_SUBMIT_H

#include "config.h"
#include "ipc.h"

enum submit_result {
    SUBMIT_OK,            /* safe: in the queue, or synced in the drop folder */
    SUBMIT_RETRY,         /* EX_TEMPFAIL */
    SUBMIT_REFUSED,       /* pickup said no for good */
    SUBMIT_NOT_PERMITTED, /* ... because of who asks: EX_NOPERM */
};

#define SUBMIT_ID_SIZE 24

/* content: a file of request->content_length bytes, at offset 0. queue_id stays as it is unless pickup took it. */
MUST_USE enum submit_result submit_message(const struct config *config, const struct ipc_pickup_submit *request,
                                           int content, char queue_id[SUBMIT_ID_SIZE], struct failure *failure);

#endif
