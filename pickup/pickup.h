/* pickup: the daemon's context, and what its files offer each other. */
#ifndef TERN_PICKUP_H
#define TERN_PICKUP_H

#include "hash.h"
#include "intake.h"
#include "ipc.h"
#include "permission.h"
#include "service.h"

struct pickup {
    struct service *service;
    const struct config *config;
    struct intake_source *intake;
    struct permission may_submit; /* authorized_submit_users */
    int folder; /* the drop folder; -1 if there is none */
    struct map *callers; /* callers.c: uid to struct caller */
    struct map *put_off; /* names in the drop folder that cleanup would not take now, to deadline */
    bool scanning;
    struct timespec seen; /* the drop folder's modification date when it was scanned last */
    deadline scan_again;  /* 0: no reason to */
    int64_t pause;        /* ms until what was not taken is tried again; 0: everything was */
};

/* A message as it was handed in. */
struct submission {
    const struct ipc_pickup_submit *request;
    int file; /* content begins at offset */
    uint64_t offset;
    uint32_t uid; /* who handed it in, as the kernel says */
};

/* submission.c: adds trace and missing headers and commits. True: safe, queue_id has its
 * ID. False: failure has the reply; 5.7.0 for an account that may not. */
MUST_USE bool submission_take(struct pickup *pickup, const struct submission *submission, struct arena *arena,
                              char queue_id[24], struct intake_failure *failure);

/* letterhead.c: what a message's header has, and what it is given. */
struct letterhead {
    bool resent; /* it has fields of somebody who sent it again: the next three are of his (RFC 5322 section 3.6.6) */
    bool from, date, message_id;
    bool tls_not_required;
    size_t hops;
};
/* Of the message's first bytes; the Message-ID's value is appended. */
void letterhead_look(struct str begin, struct letterhead *present, struct buf *message_id);
/* Appends Received. */
void letterhead_trace(const struct pickup *pickup, uint32_t uid, struct str queue_id, int64_t now, struct buf *out);
/* Appends what is missing of From, Date and Message-ID. */
void letterhead_missing(const struct pickup *pickup, const struct submission *submission,
                        const struct letterhead *present, struct str sender, struct str queue_id, int64_t now,
                        struct buf *out, struct buf *message_id);
/* Appends the fields of the header, without those of message_drop_headers, addresses completed. Returns how many of
 * the bytes have been seen to. */
MUST_USE size_t letterhead_copy(const struct config *config, struct str begin, struct buf *out);

/* callers.c: counts a connection of that account; false, once with a warning, if it has too many. */
MUST_USE bool callers_enter(struct pickup *pickup, uint32_t uid);
/* A connection for which callers_enter was true has ended. */
void callers_leave(struct pickup *pickup, uint32_t uid);

/* drop_folder.c: takes in all that stands there. In a task. */
void drop_folder_scan(struct pickup *pickup);
/* Once a second: scans it if something has come, or if something is to be tried again. */
void drop_folder_tick(struct pickup *pickup);

#endif
