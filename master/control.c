/* control: what a process tells master over the socket it was born with.
 *
 * A process may say that it is ready, how loaded it is, and that it wants to be
 * connected to another service that its row lists, or (if its row has that right) to
 * a UNIX socket that the configuration names. Anything else, or a packet
 * that does not decode, costs it its life: it is no longer the program we started. */
#include "master.h"

#include "ipc.h"
#include "memory.h"
#include "str.h"

#include <errno.h>
#include <signal.h>
#include <sys/un.h>
#include <unistd.h>

#define PACKET_LIMIT 4096
#define DESCRIPTOR_ROOM 4
#define FORBIDDEN_LIMIT 20
#define SENDER_WORD_AGENTS "*agents"

/* ---- CONNECT */

static bool row_lists(const struct service *caller, const struct service *wanted) {
    struct str rest = str_from(caller->row.peers);
    struct str word;
    while (str_next_word(&rest, " ,", &word))
        if (str_equal(word, str_from(wanted->row.name)) || str_equal(word, str_from(wanted->row.program)) ||
            (str_equal(word, STR(SENDER_WORD_AGENTS)) && wanted->row.is_agent))
            return true;
    return false;
}

/* A connection to the service's socket on which the caller has been announced. */
static int connect_to(const struct service *wanted, const struct child *child, struct failure *failure) {
    const struct service *caller = child->service;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    service_path(wanted, address.sun_path, sizeof address.sun_path);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        failure_set_errno(failure, errno, "cannot connect to %s", address.sun_path);
        if (descriptor >= 0)
            close(descriptor);
        return -1;
    }
    struct ipc_hello hello = {
        .service = str_from(caller->row.name), .version = ipc_version(), .process = (uint64_t)child->pid,
        .program = str_from(caller->row.program)};
    if (!control_send_on(descriptor, IPC_HELLO, 0, &hello, -1)) {
        failure_set(failure, "cannot announce %s to %s", caller->row.name, wanted->row.name);
        close(descriptor);
        return -1;
    }
    return descriptor;
}

static void refuse_with(struct child *child, uint32_t serial, unsigned reply_code, const char *status,
                        const char *text) {
    struct ipc_failed failed = {.reply_code = reply_code, .status = str_from(status), .text = str_from(text)};
    if (!control_send(child, IPC_FAILED, serial, &failed, -1))
        report(child->service->master, REPORT_WARNING, "service %s pid %d takes no answer: %s",
               child->service->row.name, (int)child->pid, text);
}

static void refuse(struct child *child, uint32_t serial, const char *text) {
    refuse_with(child, serial, 451, "4.3.0", text);
}

/* Our programs do not ask for what their row does not list; a few questions are let pass (the row may have
 * changed while an older process runs). False: it is no longer the program we started. */
static bool forbid(struct child *child, uint32_t serial, const char *kind, struct str wanted) {
    report(child->service->master, REPORT_WARNING, "service %s pid %d asked for the %s %.*s, which is not for it",
           child->service->row.name, (int)child->pid, kind, STR_ARGS(wanted));
    refuse(child, serial, "not for this caller");
    return ++child->forbidden < FORBIDDEN_LIMIT;
}

static bool handle_connect(struct child *child, uint32_t serial, const struct ipc_connect *request) {
    struct service *caller = child->service;
    struct master *master = caller->master;
    struct service *wanted = service_by_name(master, request->service);
    struct failure failure = {0};
    if (wanted == NULL) {
        failure_set(&failure, "no service %.*s in master.cf", STR_ARGS(request->service));
        refuse(child, serial, failure.text);
        return true;
    }
    if (!row_lists(caller, wanted)) return forbid(child, serial, "service", str_from(wanted->row.name));
    int descriptor = connect_to(wanted, child, &failure);
    if (descriptor < 0) {
        report(master, REPORT_WARNING, "service %s pid %d: %s", caller->row.name, (int)child->pid, failure.text);
        refuse(child, serial, failure.text);
        return true;
    }
    /* The connection waits in the socket until a process is there; that is begun now. */
    wanted->used = true;
    if (!control_send(child, IPC_CONNECTED, serial, &(struct ipc_connected){}, descriptor))
        report(master, REPORT_WARNING, "service %s pid %d does not take the connection to %s", caller->row.name,
               (int)child->pid, wanted->row.name);
    close(descriptor);
    return true;
}

/* ---- CONNECT_PATH */

/* By the kernel's words for it; a queue that is full (EAGAIN) is worth another question. */
static void refuse_path(struct child *child, uint32_t serial, int error) {
    if (error == EAGAIN)
        refuse_with(child, serial, 421, "4.4.1", "the socket's queue is full");
    else
        refuse_with(child, serial, 451, failure_is_local(error) ? "4.3.0" : "4.4.1", strerror(error));
}

/* What master connects to it can reach as root, whatever the socket's permissions say: so only
 * paths that the configuration names. Nothing is said on the connection; it is a stranger's. */
static bool handle_connect_path(struct child *child, uint32_t serial, const struct ipc_connect_path *request) {
    struct service *caller = child->service;
    struct master *master = caller->master;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!caller->row.reaches_paths) return forbid(child, serial, "UNIX socket", request->path);
    if (!plan_paths_have(&master->sockets, request->path) || request->path.length >= sizeof address.sun_path) {
        char text[400];
        snprintf(text, sizeof text, "the configuration does not permit it: lmtp_unix_sockets = %.*s would",
                 STR_ARGS(request->path));
        refuse_with(child, serial, 451, "4.3.5", text);
        return true;
    }
    memcpy(address.sun_path, request->path.data, request->path.length);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0)
        refuse_path(child, serial, errno);
    else if (!control_send(child, IPC_CONNECTED, serial, &(struct ipc_connected){}, descriptor))
        report(master, REPORT_WARNING, "service %s pid %d does not take the connection to %s", caller->row.name,
               (int)child->pid, address.sun_path);
    if (descriptor >= 0)
        close(descriptor);
    return true;
}

/* ---- READY, LOAD, LEAVING */

static void handle_ready(struct child *child) {
    struct service *service = child->service;
    child->ready = true;
    service->used = true;
    if (service->wake_wanted && !child->draining)
        service->wake_wanted = !control_send(child, IPC_WAKE, 0, &(struct ipc_wake){}, -1);
    start_evaluate(service->master);
}

static void handle_load(struct child *child, const struct ipc_load *load) {
    child->sessions = load->sessions;
    child->full = load->full;
    service_evaluate(child->service);
}

/* It drains as after a reload: its successor starts, and what comes now waits in the sockets for that. */
static void handle_leaving(struct child *child) {
    child->left = true;
    if (child->draining) {
        reload_evaluate(child->service->master);
        return;
    }
    child->draining = true;
    report(child->service->master, REPORT_INFO, "service %s pid %d was told to end by somebody: the next takes over",
           child->service->row.name, (int)child->pid);
    service_evaluate(child->service);
}

/* The bound structs of the messages a child may send. */
union message {
    struct ipc_ready ready;
    struct ipc_load load;
    struct ipc_connect connect;
    struct ipc_connect_path connect_path;
    struct ipc_drain drain;
    struct ipc_leaving leaving;
};

static bool handle_packet(struct child *child, struct str packet) {
    enum ipc_type type;
    uint32_t serial;
    union message message = {};
    if (!ipc_peek(packet, &type, &serial))
        return false;
    if (type == IPC_READY && ipc_decode(packet, type, &message)) {
        handle_ready(child);
        return true;
    }
    if (type == IPC_LOAD && ipc_decode(packet, type, &message)) {
        handle_load(child, &message.load);
        return true;
    }
    if (type == IPC_LEAVING && ipc_decode(packet, type, &message)) {
        handle_leaving(child);
        return true;
    }
    if (type == IPC_CONNECT && ipc_decode(packet, type, &message)) {
        return handle_connect(child, serial, &message.connect);
    }
    if (type == IPC_CONNECT_PATH && ipc_decode(packet, type, &message)) {
        return handle_connect_path(child, serial, &message.connect_path);
    }
    return false;
}

/* Descriptors have no business here; those that come are closed. */
static ssize_t receive(int socket, char *packet, size_t size) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(DESCRIPTOR_ROOM * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = packet, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); got >= 0 && header != NULL;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t offset = 0; CMSG_LEN(offset + sizeof(int)) <= header->cmsg_len; offset += sizeof(int)) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + offset, sizeof descriptor);
            close(descriptor);
        }
    }
    return got;
}

void control_readable(int descriptor, void *argument) {
    struct child *child = argument;
    char packet[PACKET_LIMIT];
    ssize_t got = receive(descriptor, packet, sizeof packet);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        /* Its end is being reported by SIGCHLD; nothing more comes this way. */
        loop_watch_pause(child->watch, true);
        return;
    }
    if (!handle_packet(child, str_make(packet, (size_t)got))) {
        report(child->service->master, REPORT_ERROR, "service %s pid %d sent what our programs do not send: killing it",
               child->service->row.name, (int)child->pid);
        loop_watch_pause(child->watch, true);
        kill(child->pid, SIGKILL);
    }
}
