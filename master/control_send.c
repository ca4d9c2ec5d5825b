/* What master says to a process, over the socket it was born with. */
#include "master.h"

#include "descriptor_pass.h"
#include "ipc.h"

#include <sys/socket.h>

#define PACKET_LIMIT 4096

bool control_send_on(int socket, int type, uint32_t serial, const void *message, int descriptor) {
    struct buf packet = buf_make(PACKET_LIMIT);
    bool sent = ipc_encode((enum ipc_type)type, serial, message, &packet) &&
                descriptor_pass(socket, buf_str(&packet), descriptor, MSG_DONTWAIT) == (ssize_t)packet.length;
    buf_free(&packet);
    return sent;
}

bool control_send(struct child *child, int type, uint32_t serial, const void *message, int descriptor) {
    return control_send_on(child->control, type, serial, message, descriptor);
}
