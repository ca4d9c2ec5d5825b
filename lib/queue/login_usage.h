/* login_usage: what an account has sent lately, and whether that is too much.
 *
 * Pure: a record for each login, with counts over two windows (the one that is
 * running and the one before it, so that the sum slides without being kept for
 * each message), the brake for stolen accounts, and the form in which the records
 * stand in a file. Dates are seconds. */
#ifndef TERN_LOGIN_USAGE_H
#define TERN_LOGIN_USAGE_H

#include "buf.h"
#include "compiler.h"
#include "str.h"

enum { LOGIN_NAME_MAX = 250, LOGIN_REASON_MAX = 200 };

enum login_counter { LOGIN_MESSAGES, LOGIN_RECIPIENTS, LOGIN_BYTES, LOGIN_COUNTERS };
/* What the brake looks at. */
enum login_sign { LOGIN_SUDDEN, LOGIN_REJECTED, LOGIN_BOUNCED, LOGIN_SIGNS };

/* Limits; 0: none. */
struct login_limits {
    uint64_t most[LOGIN_COUNTERS]; /* within window */
    int64_t window;
    uint64_t brake[LOGIN_SIGNS]; /* within brake_window: recipients sent to, refused, bounced */
    int64_t brake_window;
};

/* A count over two windows. */
struct login_count {
    uint64_t now, before;
};

struct login_usage {
    struct login_limits limits; /* as they were said last */
    int64_t begun;              /* of the window that is running */
    struct login_count counts[LOGIN_COUNTERS];
    int64_t brake_begun;
    struct login_count signs[LOGIN_SIGNS];
    int64_t used; /* last */
    int64_t held; /* since when the account's mail is on hold; 0: it is not */
    char reason[LOGIN_REASON_MAX + 1];
};

struct login_event {
    uint64_t messages, recipients, bytes, rejected, bounced;
};

enum login_verdict {
    LOGIN_GO = 0,
    LOGIN_LATER = 1, /* a limit is reached: 450 */
    LOGIN_NEVER = 2, /* more than the limit by itself: 550 */
    LOGIN_HOLD = 3,  /* taken, and put on hold */
};

/* Would this event be within the limits? *over is the counter that it is not. */
enum login_verdict login_usage_judge(const struct login_usage *usage, const struct login_event *event, int64_t now,
                                     enum login_counter *over);
/* Counts it. True: with it the brake has come on; reason says why. */
bool login_usage_add(struct login_usage *usage, const struct login_event *event, int64_t now);
/* How much of the window's count is used at this moment. */
uint64_t login_usage_count(const struct login_usage *usage, enum login_counter counter, int64_t now);
/* An operator's wish: the mail goes on hold. */
void login_usage_hold(struct login_usage *usage, struct str reason, int64_t now);
/* Lets the account send again, with its counts at nothing. */
void login_usage_lift(struct login_usage *usage);
/* Nothing of it matters any more. */
bool login_usage_is_idle(const struct login_usage *usage, int64_t now);

/* Words of a limit: "30 minutes". */
bool login_append_time(struct buf *out, int64_t seconds);

/* ---- overrides: "messages=100 recipients=500 bytes=1000000 sudden=0 rejected=0 bounced=0", or "unlimited" */
MUST_USE bool login_limits_parse(struct str text, struct login_limits *limits, struct str *bad);

/* ---- the file: a record for each login; what does not check ends the reading */
bool login_usage_pack(struct buf *out, struct str login, const struct login_usage *usage);
MUST_USE bool login_usage_next(struct str *rest, struct str *login, struct login_usage *usage);

#endif
