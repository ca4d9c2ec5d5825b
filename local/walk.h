/* walk: one recipient on the way through aliases, lists and .forward files: what was met, what became of it, which
 * addresses elsewhere get a copy. The way itself is recipient.c's. */
#ifndef TERN_LOCAL_WALK_H
#define TERN_LOCAL_WALK_H

#include "local.h"

struct owner {
    uint32_t uid, gid;
    struct str user, home;
};

/* The way by which an address was reached; on the stack. */
enum way_kind { WAY_ALIAS, WAY_USER, WAY_INCLUDE };
struct way {
    const struct way *from;
    enum way_kind kind;
    struct str name; /* alias (without a domain: all local domains are one), user, file */
};

struct forwarded {
    struct str sender; /* as the alias's owner has it, or the message's */
    bool owned;
    bool as_is; /* a mailbox here, which virtual_alias_maps had their say about */
    struct ipc_recipient *recipients;
    size_t count, room;
    struct forwarded *next;
};

struct walk {
    struct local *local;
    const struct ipc_deliver *request;
    int file;
    const struct ipc_recipient *recipient;
    struct arena *arena;
    struct str relay;
    int64_t started;
    struct map *seen; /* what was delivered to or expanded, by key */
    struct forwarded *forwards;
    size_t members; /* all that were met */
    size_t ends;    /* that were here */
    bool expanded, checked;
    bool list; /* the recipient is an alias with an owner: RFC 3461 calls that a mailing list */
    struct ipc_outcome *outcome;
    bool said; /* outcome is set */
};

/* ---- outcomes */
/* A copy in the arena. */
struct str walk_keep(struct walk *walk, struct str text);
unsigned walk_badness(uint64_t action);
/* What became of one end; logged, and remembered if it is the worst so far. */
void walk_say(struct walk *walk, struct str address, unsigned action, struct str status, struct str text);
/* Deferred; a % in the format is where the detail goes. */
void walk_defer(struct walk *walk, struct str address, const char *status, const char *format, const char *detail);

/* ---- what was met */
bool walk_has_met(const struct walk *walk, const char *kind, struct str name);
/* True the first time that a thing of that kind and name, in whatever letters, is met. */
bool walk_first_time(struct walk *walk, const char *kind, struct str name);
bool walk_first_time_of_user(struct walk *walk, const struct ipc_lookup_local_found *found);
/* The same for what has a path or is a command line: octet by octet, and for each user, as whose delivery it is. An
 * account's mailbox is another one, a folder, with another extension. */
bool walk_first_target(struct walk *walk, const char *kind, const struct owner *owner, struct str target,
                       struct str extension);
/* Whether the last one on the way is that, or any of them. */
bool way_is(const struct way *way, enum way_kind kind, struct str name);
bool way_has(const struct way *way, enum way_kind kind, struct str name);
/* By the administrator's limit, or because the next one might not have room on the stack. */
bool walk_is_too_deep(const struct walk *walk, const struct way *way);

/* ---- steps */
/* The domain of an address in internal form, and its local part. */
struct str walk_domain_of(struct str address, struct str *local_part);
struct ipc_local_work walk_make_work(struct walk *walk, enum local_step step, struct str address, struct str extension,
                                     const struct owner *owner, struct str target);
/* All that is written or run goes through here; for a probe a .forward file is read and nothing else is done. */
void walk_run_step(struct walk *walk, const struct ipc_local_work *work, struct step_answer *answer);
/* The same into a user's mailbox. One that is missing is made first where only a group's members may do that: never
 * by a process that reads what its user names. */
void walk_run_mailbox_step(struct walk *walk, const struct ipc_local_work *work, struct step_answer *answer);
/* A step that ends in an outcome. */
void walk_run_end(struct walk *walk, struct str address, const struct ipc_local_work *work);

/* ---- copies for addresses elsewhere */
/* owned: from an alias's owner, who is the sender. */
void walk_forward_to(struct walk *walk, struct str address, struct str sender, bool owned);
/* Unless something before was deferred. */
void walk_send_forwards(struct walk *walk);
/* What became of a mailbox. A member that has to wait waits alone, with a copy: the others would get the message at
 * each attempt again. A list's members who take no mail are its owner's business: the message comes here again, from
 * him. */
void walk_say_of_member(struct walk *walk, struct str address, const struct step_answer *answer, struct str sender,
                        bool owned);

#endif
