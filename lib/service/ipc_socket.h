/* ipc_socket: packets over one SOCK_SEQPACKET descriptor, with at most one
 * descriptor riding along; what ipc_serve, ipc_client and the tools share.
 *
 * Sending and receiving try the system call first and wait only when it would
 * block. Inside a task waiting suspends; without a loop it polls. */
#ifndef TERN_IPC_SOCKET_H
#define TERN_IPC_SOCKET_H

#include "ipc.h"
#include "task.h"

enum ipc_transfer {
    IPC_TRANSFER_DONE,
    IPC_TRANSFER_AGAIN,     /* receiving: nothing there now */
    IPC_TRANSFER_CLOSED,    /* receiving: the peer has closed; sending: it reads no more, nothing was sent */
    IPC_TRANSFER_BROKEN,    /* an error, or a packet that no tern process sends */
    IPC_TRANSFER_TIMEOUT,   /* sending */
    IPC_TRANSFER_CANCELLED, /* sending */
    IPC_TRANSFER_INVALID,   /* sending: a field breaks its bound */
};

struct ipc_socket {
    int descriptor;
    int error_number;          /* of the call that broke the connection; 0 when it was a packet */
    bool sender_waits;         /* somebody waits for room: the others queue behind */
    struct task_queue senders;
};

/* Makes the descriptor non-blocking, with room for a packet of the greatest size. */
void ipc_socket_open(struct ipc_socket *socket, int descriptor);
void ipc_socket_close(struct ipc_socket *socket);

struct ipc_packet {
    struct str bytes; /* borrowed: good until the next receive or wait */
    enum ipc_type type;
    uint32_t serial;
    int descriptor; /* -1 if none; the caller's to close */
};
/* The next packet, checked for its header and for carrying what its type is
 * declared to carry; never waits. */
MUST_USE enum ipc_transfer ipc_socket_receive(struct ipc_socket *socket, struct ipc_packet *packet);
/* Decodes a packet into the arena. NULL if it does not decode or the arena is full. */
MUST_USE void *ipc_packet_decode(const struct ipc_packet *packet, struct arena *arena);

/* Packs and sends a message; descriptor -1 for none. */
MUST_USE enum ipc_transfer ipc_socket_send(struct ipc_socket *socket, enum ipc_type type, uint32_t serial, const void *message,
                                           int descriptor, deadline until);

#endif
