/* bounce: the daemon's context, and what its files offer each other. */
#ifndef TERN_BOUNCE_H
#define TERN_BOUNCE_H

#include "delivery.h"
#include "dsn.h"
#include "ipc.h"
#include "service.h"
#include "notice_template.h"

struct bounce {
    struct service *service;
    const struct config *config;
    struct intake_source *intake;
    struct bounce_templates templates;
};

/* One notice: about which message, who it goes to and in what form. All is borrowed. */
struct notice {
    const struct ipc_bounce_send *request;
    int content; /* the message's file */
    struct arena *arena;
    enum notice_kind kind;
    struct str envelope_sender; /* empty for the null sender */
    struct str to;              /* internal form */
    const struct bounce_template *template;
    bool headers_only;
};

/* notice.c: writes one notice through cleanup. queue_id gets its ID. False: nothing is queued (failure). */
MUST_USE bool notice_write(struct bounce *bounce, const struct notice *notice, char queue_id[24],
                           struct failure *failure);

/* Where the header of a content ends (without the empty line), at most limit. False: it cannot be read. */
MUST_USE bool notice_find_header_end(int content, uint64_t offset, uint64_t length, uint64_t limit, uint64_t *end);

#endif
