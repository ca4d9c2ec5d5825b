/* cleanup: the one context of the daemon, and what its files offer each other. */
#ifndef TERN_CLEANUP_H
#define TERN_CLEANUP_H

#include "directory_sync.h"
#include "hash.h"
#include "ipc.h"
#include "queue_id.h"
#include "resolve.h"
#include "service.h"

struct cleanup {
    struct service *service;
    const struct config *config;
    struct resolve *resolve;
    struct ipc_client *qmgr;
    struct queue_id_source ids;
    struct map *committing; /* queue IDs of messages that came in memory and are not answered yet */
    int queue, tmp, new, cur, hold; /* directory descriptors */
    struct directory_sync new_sync, hold_sync;
    deadline disk_checked; /* the disk guard's answer holds until then */
    bool disk_has_room;
    size_t files_open;   /* handed to writers and not committed */
    size_t ahead_bytes;  /* of recipients that came ahead of their commits */
    deadline qmgr_stalled; /* it did not answer in time: no direct delivery until then */
};

/* A message on its way to its commit: a file handed to a writer (in the connection's list), or one that
 * came whole, in memory. */
struct pending {
    struct pending *next;
    char queue_id[QUEUE_ID_SIZE];
    int64_t arrival;     /* microseconds */
    int file;            /* read-only: what the read lease is taken on; or the sealed memory file */
    bool in_memory;
    size_t ahead_bytes;
    struct arena *arena; /* recipients sent ahead */
    struct ipc_recipient *recipients;
    size_t recipient_count, recipient_room;
};

/* Queue IDs that a connection got in reserve: each is good once. */
enum { ID_RANGE = 256, ID_RANGES = 4 };
struct id_range {
    uint64_t first;
    uint64_t used[ID_RANGE / 64]; /* bits */
};

/* What each connection owns: freed (and its files removed) when it ends. */
struct writer {
    struct cleanup *cleanup;
    struct pending *pending;
    size_t files_open;
    struct id_range ranges[ID_RANGES]; /* the last ones; an empty one has first 0 */
    unsigned newest;
};

/* ids.c */
void cleanup_ids(struct ipc_request *request, struct writer *writer);
/* Takes an ID for one message. False if it is none of ours, or one that another message has or had. */
bool id_claim(struct writer *writer, struct str queue_id);

/* open.c */
void cleanup_open(struct ipc_request *request, struct writer *writer);
void cleanup_cancel(struct ipc_request *request, struct writer *writer);
void cleanup_recipients(struct ipc_request *request, struct writer *writer);
/* Takes a pending file out of the writer's list; NULL if it is not there. */
struct pending *writer_take(struct ipc_request *request, struct writer *writer, struct str queue_id);
/* A message whose content came in memory with its commit; NULL, answered, if it cannot be taken. */
struct pending *pending_from_memory(struct ipc_request *request, struct writer *writer);
/* Removes the file and frees the record. */
void pending_discard(struct cleanup *cleanup, struct pending **pending);
void pending_free(struct cleanup *cleanup, struct pending **pending);
bool pending_add_recipients(struct pending *pending, struct ipc_list recipients);

/* A commit under way. */
struct committing {
    struct cleanup *cleanup;
    struct pending *pending;
    const struct ipc_cleanup_commit *message;
    struct buf envelope; /* packed */
    bool on_hold;
    int stored; /* the queue file, durable and locked; -1: none */
    struct ipc_list refused; /* by direct delivery: the client is told */
    struct failure failure;
};

/* commit.c: the order of all */
void cleanup_commit(struct ipc_request *request, struct writer *writer);

/* store.c: the states of a queue file up to new/. Waits. False with the failure: nothing is left of it. */
bool commit_store(struct committing *commit);

/* direct.c: delivery ahead of the queue. Waits. */
enum direct_result {
    DIRECT_DONE,    /* every recipient has it, nothing is owed */
    DIRECT_STORE,   /* it has to wait; qmgr knows the message and waits for the queue file */
    DIRECT_UNKNOWN, /* begun perhaps, and qmgr does not say: store, and look for the targets first */
    DIRECT_NOT,     /* not begun: store */
};
enum direct_result commit_direct(struct committing *commit);
/* Tells qmgr of a stored message, or that one that it waits for could not be stored. */
void direct_tell_stored(struct committing *commit, enum direct_result begun);
void direct_tell_forget(struct committing *commit, enum direct_result begun);

/* expand.c */
/* Virtual alias expansion and removal of duplicates. False: a table did not answer (failure). */
bool cleanup_expand(struct cleanup *cleanup, struct pending *pending, struct failure *failure);

#endif
