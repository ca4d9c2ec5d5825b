/* keys: what its files share. */
#ifndef TERN_KEYS_DAEMON_H
#define TERN_KEYS_DAEMON_H

#include "ipc.h"
#include "service.h"
#include "store.h"
#include "tickets.h"

#define RETIRED_STORES 32

/* A connection to keys. */
struct peer {
    struct keys *keys;
    struct ipc_peer *connection;
    struct peer *next, **previous;
    bool held;       /* may go on asking while this process drains */
    bool being_told; /* that something has changed */
    bool told_late;  /* and something changed again meanwhile */
    uint64_t signed_count, refused_count;
    double allowance; /* signatures that may be made now */
    deadline counted; /* when the allowance was last added to */
};

/* A store that was replaced: handshakes that began with it may still need its keys. */
struct retired {
    struct store *store;
    deadline until;
};

struct keys {
    struct service *service;
    const struct config *config;
    int reader;       /* socket to the helper that reads the files */
    struct buf first; /* the material that came before the sandbox */
    struct store *store;
    struct retired retired[RETIRED_STORES];
    struct tickets tickets;
    struct peer *peers;
    deadline started;
    int64_t warned; /* date of the last warnings of expiry, seconds */
};

/* ---- sign.c */
/* KEYS_SIGN. */
void keys_sign(struct keys *keys, struct ipc_request *request, struct peer *peer);

#endif
