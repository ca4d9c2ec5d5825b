/* content_state: a message's content while it comes in. */
#ifndef TERN_SMTPD_CONTENT_STATE_H
#define TERN_SMTPD_CONTENT_STATE_H

#include "content_header.h"
#include "content_scan.h"
#include "intake.h"

struct content {
    struct intake *intake; /* NULL once given up */
    char queue_id[32];
    struct content_scan scan;
    struct content_header header;
    struct buf out;    /* what goes into the file next */
    uint64_t received; /* octets as RFC 1870 counts them: line ends are two, no dots added */
    uint64_t limit;    /* 0: none */
    bool raw;          /* BINARYMIME: stored as it came */
    bool too_big, eight_bit, line_open;
};

#endif
