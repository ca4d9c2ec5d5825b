/* cleanup: the one context of the daemon, and what its files offer each other. */
#ifndef TERN_CLEANUP_H
#define TERN_CLEANUP_H

#include "directory_sync.h"
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
    int queue, tmp, new, hold; /* directory descriptors */
    struct directory_sync new_sync, hold_sync;
    deadline disk_checked; /* the disk guard's answer holds until then */
    bool disk_has_room;
};

/* A file handed to a writer and not yet committed. Lives in the connection's list. */
struct pending {
    struct pending *next;
    char queue_id[QUEUE_ID_SIZE];
    int64_t arrival;     /* microseconds */
    int file;            /* read-only: what the read lease is taken on */
    struct arena *arena; /* recipients sent ahead */
    struct ipc_recipient *recipients;
    size_t recipient_count, recipient_room;
};

/* What each connection owns: freed (and its files removed) when it ends. */
struct writer {
    struct cleanup *cleanup;
    struct pending *pending;
};

/* open.c */
void cleanup_open(struct ipc_request *request, struct writer *writer);
void cleanup_cancel(struct ipc_request *request, struct writer *writer);
void cleanup_recipients(struct ipc_request *request, struct writer *writer);
/* Takes a pending file out of the writer's list; NULL if it is not there. */
struct pending *writer_take(struct ipc_request *request, struct writer *writer, struct str queue_id);
/* Removes the file and frees the record. */
void pending_discard(struct cleanup *cleanup, struct pending **pending);
void pending_free(struct pending **pending);
bool pending_add_recipients(struct pending *pending, struct ipc_list recipients);

/* commit.c: the states of a queue file up to new/ */
void cleanup_commit(struct ipc_request *request, struct writer *writer);

/* expand.c */
/* Virtual alias expansion and removal of duplicates. False: a table did not answer (failure). */
bool cleanup_expand(struct cleanup *cleanup, struct pending *pending, struct failure *failure);

#endif
