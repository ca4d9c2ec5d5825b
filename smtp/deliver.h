/* deliver: one DELIVER request, from hosts to outcomes. */
#ifndef TERN_SMTP_DELIVER_H
#define TERN_SMTP_DELIVER_H

#include "delivery.h"
#include "ipc.h"
#include "session.h"
#include "smtp.h"

struct recipient {
    struct ipc_recipient row;
    struct ipc_outcome outcome; /* so far; status empty: nothing has happened */
    unsigned session;           /* the last one in which it was tried */
    struct str tls_status;      /* for tls= in the log */
    bool done;                  /* the outcome is final */
    bool accepted;              /* RCPT was answered by 250 in the transaction under way */
};

struct delivery {
    struct smtp *smtp;
    const struct ipc_deliver *request;
    int file;
    struct arena *arena;
    struct recipient *recipients;
    size_t count;
    int64_t started;           /* date, microseconds */
    deadline begun, connected; /* for the times in the log */
    unsigned sessions;         /* of this delivery: numbers them, too */
    bool reached;              /* a session was established with some host */
    struct trouble trouble;    /* the last one with a host or the route */
    bool other_trouble;        /* some host failed for a reason that may pass */
};

/* Delivers, and fills the answer; rows holds what it points into. */
void smtp_deliver(struct smtp *smtp, const struct ipc_deliver *request, int file, struct arena *arena, struct buf *rows,
                  struct ipc_delivered *answer);

#endif
