/* envelope_wish: what a client asks of the queue besides delivering a message.
 *
 * RFC 4865 (not before), RFC 2852 (not after), RFC 6710 (how soon), RFC 8689 (how
 * safely). Dates are seconds since 1970. Pure. */
#ifndef TERN_ENVELOPE_WISH_H
#define TERN_ENVELOPE_WISH_H

#include "buf.h"
#include "compiler.h"
#include "smtp_command.h"
#include "str.h"

#define PRIORITY_LEAST (-9)
#define PRIORITY_MOST  9
#define PRIORITY_COUNT 19
/* RFC 2852 section 4: nine digits. */
#define DELIVER_BY_MOST INT64_C(999999999)

enum deliver_by_mode {
    DELIVER_BY_NOT = 0,    /* no date was set */
    DELIVER_BY_NOTIFY = 1, /* N: say that it is late, and go on */
    DELIVER_BY_RETURN = 2, /* R: give up */
};

/* How TLS is to be used for the message; bits. */
enum tls_wish {
    TLS_WISH_REQUIRED = 1,     /* REQUIRETLS: to verified servers that obey it, or not at all */
    TLS_WISH_NOT_REQUIRED = 2, /* TLS-Required: No: policies of receivers are not enforced */
    TLS_WISH_UNREPORTED = 4,   /* no results are gathered of it: it is a report on TLS (RFC 8460 section 3) */
    TLS_WISH_ALL = 7,
};

struct envelope_wish {
    int64_t release;    /* not before this date; 0: at once */
    int64_t deliver_by; /* the date of by_mode */
    enum deliver_by_mode by_mode;
    bool by_trace; /* T: relaying is to be told of */
    int priority;  /* -9 to 9 */
    unsigned tls;  /* of enum tls_wish */
};

/* The date of HOLDFOR or HOLDUNTIL; one in the past is now. *release 0: neither was given. False: no date, or beyond
 * the longest wait (seconds from now). */
MUST_USE bool envelope_wish_release(const struct smtp_mail *mail, int64_t now, int64_t longest, int64_t *release);
/* BY, counted from the date at which the message may go. */
void envelope_wish_deliver_by(const struct smtp_mail *mail, int64_t from, struct envelope_wish *wish);
/* MAIL's BY value for a server that is given the message now: what is left. */
bool envelope_wish_append_by(struct buf *line, const struct envelope_wish *wish, int64_t now);
/* A priority as a number from 0, as files and messages have it: 0 to 9, then -9 to -1. */
static inline uint64_t priority_to_number(int priority) {
    if (priority < PRIORITY_LEAST || priority > PRIORITY_MOST) return 0;
    return (uint64_t)(priority < 0 ? priority + PRIORITY_COUNT : priority);
}
static inline int priority_from_number(uint64_t number) {
    if (number >= PRIORITY_COUNT) return 0;
    return number > PRIORITY_MOST ? (int)number - PRIORITY_COUNT : (int)number;
}
/* The date from which the message's age counts: arrival, or release where that is later. */
int64_t envelope_wish_begin(const struct envelope_wish *wish, int64_t arrival);
/* The time to deliver is over. */
bool envelope_wish_is_late(const struct envelope_wish *wish, int64_t now);

#endif
