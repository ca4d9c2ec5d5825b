/* What master says to a process, over the socket it was born with. */
#include "master.h"

#include "ipc.h"

#include <errno.h>

#define PACKET_LIMIT 4096

static bool send_packet(int socket, struct str packet, int descriptor) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)packet.data, .iov_len = packet.length};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)packet.length;
}

bool control_send_on(int socket, int type, uint32_t serial, const void *message, int descriptor) {
    struct buf packet = buf_make(PACKET_LIMIT);
    bool sent = ipc_encode((enum ipc_type)type, serial, message, &packet) && send_packet(socket, buf_str(&packet), descriptor);
    buf_free(&packet);
    return sent;
}

bool control_send(struct child *child, int type, uint32_t serial, const void *message, int descriptor) {
    return control_send_on(child->control, type, serial, message, descriptor);
}
