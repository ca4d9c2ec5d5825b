/* keys_daemon: what the files of keys share. */
#ifndef TERN_KEYS_DAEMON_H
#define TERN_KEYS_DAEMON_H

#include "ipc.h"
#include "service.h"
#include "key_store.h"
#include "tickets.h"

#define RETIRED_MOST 4096

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

/* A key that the files have no more: handshakes that began with it may still need it. */
struct retired {
    uint8_t name[TLS_KEY_NAME_SIZE];
    struct held_key key; /* with a reference of its own */
    deadline until;
};

struct keys {
    struct service *service;
    const struct config *config;
    int reader;       /* socket to the helper that reads the files */
    struct buf first; /* the material that came before the sandbox */
    struct key_store *store;
    struct retired *retired; /* the one that ends first comes first */
    size_t retired_count;
    struct tickets tickets;
    struct peer *peers;
    deadline started;
    int64_t warned; /* date of the last warnings of expiry, seconds */
};

/* ---- sign.c */
/* KEYS_SIGN. */
void keys_sign(struct keys *keys, struct ipc_request *request, struct peer *peer);

#endif
