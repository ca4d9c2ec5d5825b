/* local: the one context of the daemon, and what the forker's files offer each other. */
#ifndef TERN_LOCAL_H
#define TERN_LOCAL_H

#include "ipc.h"
#include "resolve.h"
#include "service.h"
#include "worker.h"

struct forker;
struct commands;

struct local {
    struct service *service;
    const struct config *config;
    struct resolve *resolve;
    struct ipc_client *cleanup;
    struct forker *forker;
    struct commands *commands;
    uint32_t default_uid, default_gid; /* of default_privs */
    char *default_user;
    uint32_t spool_gid; /* whose members alone make mailboxes in mail_spool_directory; 0: nobody's */
    int nothing; /* /dev/null: the file of a step that needs none */
};

/* What a step came to, in the asker's arena. */
struct step_answer {
    unsigned action;
    struct str status, text;
    bool expanded;
    struct ipc_list members;
    bool more; /* of a list */
    uint64_t list_version;
    bool unmade;
};

/* ---- forker.c: worker processes, one for each user and group */
struct forker *forker_create(const struct config *config);
/* Has the step done by the worker of its uid, gid and user. A worker that cannot be had is a deferral in the answer. */
void forker_step(struct forker *forker, const struct ipc_local_work *work, int file, struct arena *arena,
                 struct step_answer *answer);
/* Ends workers that have idled long enough, or all that idle. */
void forker_tick(struct forker *forker, bool all);

/* ---- commands.c: the process that starts commands, forked before the filter */
MUST_USE bool commands_prepare(const struct config *config, struct commands **commands, struct failure *failure);
/* In the loop. */
void commands_start(struct commands *commands, struct service *service);
void commands_step(struct commands *commands, const struct ipc_local_work *work, int file, struct arena *arena,
                   struct step_answer *answer);

/* ---- recipient.c: one recipient through aliases, lists and .forward files to its ends */
void deliver_recipient(struct local *local, const struct ipc_deliver *request, int file,
                       const struct ipc_recipient *recipient, struct arena *arena, struct ipc_outcome *outcome);

/* ---- resend.c: a copy of the message to other addresses, through cleanup */
struct resend {
    const struct ipc_deliver *request;
    int file;
    struct str sender, delivered_to;
    bool prepend_delivered_to;
    bool drop_dsn; /* a list with an owner: what the sender wished for DSN and DELIVERBY ends here */
    bool as_is;    /* virtual_alias_maps do not expand the recipients */
    const struct ipc_recipient *recipients;
    size_t recipient_count;
};
/* True when the copy is durable; its queue ID, in the arena. */
MUST_USE bool resend_message(struct local *local, const struct resend *resend, struct arena *arena,
                             struct str *queue_id, struct failure *failure);

#endif
