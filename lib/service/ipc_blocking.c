/* IPC for the command line tools: no loop, no tasks. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc_codec.h"
#include "ipc_socket.h"

int ipc_connect_path(const char *path, struct failure *failure) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof(address.sun_path)) {
        failure_set(failure, "%s: the path is too long for a socket", path);
        return -1;
    }
    memcpy(address.sun_path, path, length);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        failure_set_errno(failure, errno, "socket");
        return -1;
    }
    if (connect(descriptor, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        failure_set_errno(failure, errno, "connect to %s", path);
        close(descriptor);
        return -1;
    }
    return descriptor;
}

static enum ipc_result await_answer(struct ipc_socket *socket, uint32_t serial, enum ipc_type expected, deadline until,
                                    struct arena *arena, struct ipc_reply *reply, struct failure *failure) {
    for (;;) {
        struct ipc_packet packet;
        errno = 0; /* what is not a packet of ours has none */
        enum ipc_transfer got = ipc_socket_receive(socket, &packet);
        if (got == IPC_TRANSFER_AGAIN) {
            if (task_wait_readable(socket->descriptor, until) == WAIT_READY) continue;
            failure_set(failure, "no answer in time");
            return IPC_TIMEOUT;
        }
        /* The socket was closed at the other end with the question still unread in it (unix(7)). */
        if (got == IPC_TRANSFER_BROKEN && errno == ECONNRESET) {
            failure_set_errno(failure, EPIPE, "connection lost");
            return IPC_UNREACHABLE;
        }
        if (got != IPC_TRANSFER_DONE) break;
        void *message = packet.serial == serial ? ipc_packet_decode(&packet, arena) : NULL;
        if (message && (packet.type == expected || packet.type == IPC_FAILED)) {
            *reply = (struct ipc_reply){packet.type, message, packet.descriptor};
            if (packet.type != IPC_FAILED) return IPC_OK;
            failure_set(failure, "%.*s", STR_ARGS(((const struct ipc_failed *)message)->text));
            return IPC_REFUSED;
        }
        if (packet.descriptor >= 0) close(packet.descriptor);
        if (packet.serial == serial) {
            failure_set(failure, "an answer that does not belong to the question");
            return IPC_UNREACHABLE;
        }
    }
    failure_set(failure, "connection lost before the answer");
    return IPC_UNREACHABLE;
}

enum ipc_result ipc_ask_blocking(int descriptor, enum ipc_type type, const void *message, int sent_descriptor,
                                 enum ipc_type expected, int64_t timeout_ms, struct arena *arena, struct ipc_reply *reply,
                                 struct failure *failure) {
    struct ipc_socket socket;
    /* Serials only need to differ from those of a question that was given up. */
    uint32_t serial = (uint32_t)clock_date() | 1;
    deadline until = deadline_in(timeout_ms);
    ipc_socket_open(&socket, descriptor);
    switch (ipc_socket_send(&socket, type, serial, message, sent_descriptor, until)) {
    case IPC_TRANSFER_DONE:
        return await_answer(&socket, serial, expected, until, arena, reply, failure);
    case IPC_TRANSFER_TIMEOUT:
        failure_set(failure, "the service takes nothing");
        return IPC_TIMEOUT;
    case IPC_TRANSFER_INVALID:
        failure_set(failure, "%s has a field beyond its bound", ipc_type_name(type));
        return IPC_UNREACHABLE;
    case IPC_TRANSFER_CANCELLED:
        return IPC_CANCELLED;
    case IPC_TRANSFER_CLOSED: /* it was not taken: another connection may be tried */
        failure_set_errno(failure, EPIPE, "connection lost");
        return IPC_UNREACHABLE;
    case IPC_TRANSFER_AGAIN:
    case IPC_TRANSFER_BROKEN:
        break;
    }
    failure_set(failure, "connection lost");
    return IPC_UNREACHABLE;
}
