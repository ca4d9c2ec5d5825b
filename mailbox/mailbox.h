/* mailbox: the one context of the forker, and what its files offer each other.
 *
 *   mailbox.c   the requests: auth admits, fronts open, operators look
 *   session.c   the child: becomes the mailbox's user, locks itself in, serves
 *
 * It runs as root and reads no stranger's bytes: what fronts send are tickets, which auth made, and states, which
 * sessions have sealed. */
#ifndef TERN_MAILBOX_H
#define TERN_MAILBOX_H

#include <linux/filter.h>

#include "hash.h"
#include "service.h"
#include "session_channel.h"

/* Whom a ticket stands for, or a running session. */
struct account {
    struct arena *arena;
    struct str protocol, login, root, cache, client_address;
    uint32_t uid, gid;
    uint64_t quota_storage, quota_messages;
    deadline expires; /* of a ticket */
};

struct live_session {
    struct live_session *next, **link;
    struct mailbox *mailbox;
    struct account account;
    pid_t process;
    int watched; /* pidfd */
    struct loop_watch *watch;
    int64_t begun; /* seconds */
};

struct mailbox {
    struct service *service;
    const struct config *config;
    struct map *tickets; /* struct account by ticket */
    struct live_session *sessions;
    size_t session_count;
    uint8_t seal_master[32];
    struct sock_fprog filter; /* of sessions */
    char boot[64];            /* the boot's identity */
};

/* The account as it stands before a session's own state. */
void mailbox_pack_state(const struct account *account, struct str state, struct buf *text);

/* session.c: never returns. control: the channel to the front. */
NO_RETURN void session_process(const struct mailbox *mailbox, const struct account *account, const uint8_t nonce[16], int control,
                               struct str state);
/* imap_process.c */
void imap_process(const struct session_settings *settings, struct session_channel *channel, const struct session_attachment *attachment);
/* pop3_process.c */
void pop3_process(const struct session_settings *settings, struct session_channel *channel, const struct session_attachment *attachment);
/* Loads what a session's sandbox keeps it from loading: character set converters. */
void session_prepare(void);

#endif
