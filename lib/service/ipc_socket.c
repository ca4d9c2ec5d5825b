/* Packets over one SOCK_SEQPACKET descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptor_pass.h"
#include "ipc_codec.h"
#include "ipc_socket.h"

/* Room for a packet on its way in or out. One thread of a process runs the loop
 * and no task switches while bytes are in here, so one is enough for all
 * connections: an idle connection costs no buffer. (Threads of tools and tests
 * have their own.) */
static _Thread_local char *incoming;
static _Thread_local struct buf outgoing;

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* What it carries must not lie about in the room for packets. */
static bool is_secret(enum ipc_type type) {
    static const enum ipc_type secrets[] = {
        IPC_AUTH_BEGIN,     IPC_AUTH_RESPONSE,           IPC_PAM_CHECK, IPC_KEYS_TICKETS_GIVEN, IPC_HTTP_EXCHANGE,
        IPC_HTTP_EXCHANGED, IPC_LOOKUP_CREDENTIALS_GIVEN, IPC_SESSION_NEXT};
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++)
        if (type == secrets[i]) return true;
    return false;
}

void ipc_socket_open(struct ipc_socket *socket, int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    int size = (int)IPC_PACKET_LIMIT;
    *socket = (struct ipc_socket){.descriptor = descriptor};
    if (flags >= 0 && !(flags & O_NONBLOCK)) fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    /* The kernel doubles it; without it a large packet would be refused where the default is small. */
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void ipc_socket_close(struct ipc_socket *socket) {
    if (socket->descriptor < 0) return;
    task_forget_descriptor(socket->descriptor);
    close(socket->descriptor);
    socket->descriptor = -1;
    task_queue_wake_all(&socket->senders);
}

/* ---- receiving */

/* The one descriptor of a packet; more than one (the kernel says so by MSG_CTRUNC, and closes
 * what did not fit) and other control messages are faults. */
static bool take_descriptor(struct msghdr *message, int *descriptor) {
    bool good = !(message->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            good = false;
            continue;
        }
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int one;
            memcpy(&one, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (*descriptor < 0) {
                *descriptor = one;
            } else {
                close(one);
                good = false;
            }
        }
    }
    return good;
}

/* As the message table says: one, none, or as the sender likes. */
static bool descriptor_fits(const struct ipc_layout *layout, int descriptor) {
    return layout->descriptors == 2 || layout->descriptors == (descriptor >= 0 ? 1u : 0u);
}

static enum ipc_transfer check_packet(struct ipc_packet *packet, int flags, bool descriptor_good) {
    const struct ipc_layout *layout = NULL;
    if (!(flags & MSG_TRUNC) && descriptor_good && ipc_peek(packet->bytes, &packet->type, &packet->serial))
        layout = ipc_message_layout(packet->type);
    if (layout && descriptor_fits(layout, packet->descriptor)) return IPC_TRANSFER_DONE;
    if (packet->descriptor >= 0) close(packet->descriptor);
    packet->descriptor = -1;
    return IPC_TRANSFER_BROKEN;
}

enum ipc_transfer ipc_socket_receive(struct ipc_socket *socket, struct ipc_packet *packet) {
    union control control;
    ssize_t got;
    if (socket->descriptor < 0) return IPC_TRANSFER_CLOSED;
    if (!incoming) incoming = memory_allocate(IPC_PACKET_LIMIT, 1);
    struct iovec part = {.iov_base = incoming, .iov_len = IPC_PACKET_LIMIT};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    do
        got = recvmsg(socket->descriptor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) return IPC_TRANSFER_AGAIN;
    if (got < 0) {
        socket->error_number = errno;
        return IPC_TRANSFER_BROKEN;
    }
    *packet = (struct ipc_packet){.bytes = str_make(incoming, (size_t)got), .descriptor = -1};
    bool descriptor_good = take_descriptor(&message, &packet->descriptor);
    if (got == 0 && packet->descriptor < 0) return IPC_TRANSFER_CLOSED;
    return check_packet(packet, message.msg_flags, descriptor_good);
}

void *ipc_packet_decode(const struct ipc_packet *packet, struct arena *arena) {
    struct ipc_packet copy = *packet;
    void *message = arena_allocate(arena, 1, ipc_message_layout(packet->type)->size);
    bool good = message && arena_copy(arena, packet->bytes, &copy.bytes) && ipc_decode(copy.bytes, copy.type, message);
    if (is_secret(packet->type)) memory_wipe((void *)(uintptr_t)packet->bytes.data, packet->bytes.length);
    return good ? message : NULL;
}

/* ---- sending */

/* One attempt; IPC_TRANSFER_AGAIN when there is no room. */
static enum ipc_transfer send_now(struct ipc_socket *socket, struct str bytes, int descriptor) {
    if (socket->descriptor < 0) return IPC_TRANSFER_CLOSED;
    ssize_t sent = descriptor_pass(socket->descriptor, bytes, descriptor, MSG_DONTWAIT);
    if (sent >= 0) return IPC_TRANSFER_DONE;
    if (errno == EAGAIN) return IPC_TRANSFER_AGAIN;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return IPC_TRANSFER_CLOSED;
    socket->error_number = errno;
    return IPC_TRANSFER_BROKEN;
}

static enum ipc_transfer wait_failed(enum wait_result result) {
    return result == WAIT_TIMEOUT ? IPC_TRANSFER_TIMEOUT : IPC_TRANSFER_CANCELLED;
}

/* Waits for room as the only one, sending again whenever there may be some. */
static enum ipc_transfer send_waiting(struct ipc_socket *socket, struct str bytes, int descriptor, deadline until) {
    enum ipc_transfer done = IPC_TRANSFER_AGAIN;
    while (socket->sender_waits) {
        enum wait_result result = task_queue_wait(&socket->senders, until);
        if (result != WAIT_READY) return wait_failed(result);
    }
    socket->sender_waits = true;
    while (done == IPC_TRANSFER_AGAIN) {
        done = send_now(socket, bytes, descriptor);
        if (done != IPC_TRANSFER_AGAIN) break;
        enum wait_result result = task_wait_writable(socket->descriptor, until);
        if (result != WAIT_READY) done = wait_failed(result);
    }
    socket->sender_waits = false;
    task_queue_wake_one(&socket->senders);
    return done;
}

enum ipc_transfer ipc_socket_send(struct ipc_socket *socket, enum ipc_type type, uint32_t serial, const void *message,
                                  int descriptor, deadline until) {
    buf_clear(&outgoing);
    if (!ipc_encode(type, serial, message, &outgoing)) return IPC_TRANSFER_INVALID;
    if (!descriptor_fits(ipc_message_layout(type), descriptor)) return IPC_TRANSFER_INVALID;
    if (!socket->sender_waits) {
        enum ipc_transfer done = send_now(socket, buf_str(&outgoing), descriptor);
        if (done != IPC_TRANSFER_AGAIN) {
            if (is_secret(type)) memory_wipe(outgoing.data, outgoing.length);
            return done;
        }
    }
    /* Others will use the outgoing room while this one waits. */
    struct buf kept = outgoing;
    outgoing = buf_make(0);
    enum ipc_transfer done = send_waiting(socket, buf_str(&kept), descriptor, until);
    if (is_secret(type)) memory_wipe(kept.data, kept.length);
    buf_free(&kept);
    return done;
}
