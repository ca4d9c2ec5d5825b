/* trouble: why mail did not get through, in the form in which it is reported. */
#ifndef TERN_SMTP_TROUBLE_H
#define TERN_SMTP_TROUBLE_H

#include "memory.h"
#include "reply_policy.h"
#include "str.h"

struct connection;

struct trouble {
    bool permanent;                           /* return the mail; else try again */
    bool local;                               /* this machine's fault: no host is to blame */
    bool last;                                /* no other host is tried now */
    const char *at_end;                       /* the mail is returned with this status if no host did better; or NULL */
    struct str status;                        /* x.y.z */
    struct str text;                          /* for the log and the notice */
    struct str relay, remote_mta, diagnostic; /* empty: none */
    struct str tls_status;                    /* for tls= in the log; empty: nothing to say */
};

/* All texts live in the arena. */
void trouble_set(struct trouble *trouble, struct arena *arena, const char *status, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* From what a connection last did at a stage: a reply that was judged to be no good ... */
void trouble_from_reply(struct trouble *trouble, struct arena *arena, const struct connection *connection,
                        enum smtp_stage stage, const struct reply_judgement *judgement);
/* ... or no reply at all. */
void trouble_from_loss(struct trouble *trouble, struct arena *arena, const struct connection *connection,
                       enum smtp_stage stage);
/* Fills relay and remote_mta. */
void trouble_name_host(struct trouble *trouble, struct arena *arena, const struct connection *connection);
/* A copy of text in the arena. */
struct str trouble_keep(struct arena *arena, struct str text);

#endif
