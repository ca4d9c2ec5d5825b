/* Serving a connection: a reader that takes packets in, and a task for each
 * request. */
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipc_codec.h"
#include "ipc_socket.h"
#include "log.h"

enum {
    ANSWER_WAIT_MS = 60000,
    SERVICE_NAME_MAX = 32,
    CONNECTIONS_OF_A_PROCESS = 16, /* it has one; while processes are replaced, or connections are lost, a few */
    REQUESTS_AT_ONCE = 3500,       /* of all connections together: the sandbox has memory for so many tasks */
    REQUESTS_OF_A_PROCESS = 2000,  /* the others' requests find room beside them */
    CONNECTIONS_OF_AN_ACCOUNT = 20, /* that is neither root nor ours */
};

struct ipc_peer {
    struct ipc_socket socket;
    ipc_handler *handler;
    void *context;
    struct handling *handlings; /* under way */
    size_t under_way;
    size_t holds;             /* see ipc_peer_hold */
    struct task_queue change; /* a handler has ended */
    bool first_packet_seen;
    bool broken;   /* sent what nobody may send, or cannot be answered */
    bool draining; /* reads no more than what is in the socket */
    bool told;     /* the log has it that its account wants too many connections */
    uint32_t uid;
    uint64_t process; /* of the caller, as master says; 0: unknown */
    char service[SERVICE_NAME_MAX + 1], program[SERVICE_NAME_MAX + 1];
    void *state;
    void (*destroy_state)(void *state);
    struct ipc_peer *next, **previous; /* in the list of those served */
};

/* A request under way; lives in its own arena. */
struct handling {
    struct ipc_request request;
    struct task *task;
    struct handling *next, **previous;
};

/* The connections this thread serves, so that draining reaches them; and whether it has begun. */
static _Thread_local struct ipc_peer *served;
static _Thread_local bool drain_begun;
/* Requests under way on all of them, and those who wait for one to end. */
static _Thread_local size_t all_under_way;
static _Thread_local struct task_queue room;

struct str ipc_peer_service(const struct ipc_peer *peer) { return str_from(peer->service); }
struct str ipc_peer_program(const struct ipc_peer *peer) { return str_from(peer->program); }
uint32_t ipc_peer_uid(const struct ipc_peer *peer) { return peer->uid; }
void *ipc_peer_state(struct ipc_peer *peer) { return peer->state; }

void ipc_peer_set_state(struct ipc_peer *peer, void *state, void (*destroy)(void *state)) {
    peer->state = state;
    peer->destroy_state = destroy;
}

/* ---- draining: from shutdown on the peer's sends fail, so that it knows that what it wanted to ask
 * was not asked and asks somebody else; what is in the socket already is still read and answered. */

static void drain_if_unheld(struct ipc_peer *peer) {
    if (!drain_begun || peer->holds > 0 || peer->draining) return;
    peer->draining = true;
    shutdown(peer->socket.descriptor, SHUT_RD);
}

void ipc_serve_drain(void) {
    drain_begun = true;
    for (struct ipc_peer *peer = served; peer; peer = peer->next) drain_if_unheld(peer);
}

void ipc_peer_hold(struct ipc_peer *peer) { peer->holds++; }

bool ipc_peer_is_draining(const struct ipc_peer *peer) { return peer->draining; }

void ipc_peer_unhold(struct ipc_peer *peer) {
    peer->holds--;
    drain_if_unheld(peer);
}

/* ---- requests */

static const char *name_of(const struct ipc_peer *peer) { return peer->service[0] ? peer->service : "a peer"; }

/* A fault of this machine, which whoever asked only sees as a lost connection. */
static void say_fault(const struct ipc_peer *peer, const char *doing) {
    int reason = peer->socket.error_number;
    if (failure_is_local(reason))
        log_warning("%s %s: %s; the connection is given up", doing, name_of(peer), strerror(reason));
}

static void handling_end(struct handling *handling) {
    struct ipc_peer *peer = handling->request.peer;
    struct arena *arena = handling->request.arena;
    if (handling->request.descriptor >= 0) close(handling->request.descriptor);
    *handling->previous = handling->next;
    if (handling->next) handling->next->previous = handling->previous;
    if (handling->task) task_release(&handling->task);
    arena_destroy(&arena);
    peer->under_way--;
    all_under_way--;
    task_queue_wake_all(&peer->change);
    task_queue_wake_all(&room);
}

static void run_request(void *argument) {
    struct handling *handling = argument;
    handling->request.peer->handler(&handling->request, handling->request.peer->context);
    handling_end(handling);
}

static bool start_request(struct ipc_peer *peer, struct ipc_packet *packet) {
    struct arena *arena = arena_create(0);
    struct handling *handling = ARENA_NEW(arena, struct handling);
    handling->request = (struct ipc_request){.peer = peer,
                                             .type = packet->type,
                                             .serial = packet->serial,
                                             .message = ipc_packet_decode(packet, arena),
                                             .descriptor = packet->descriptor,
                                             .arena = arena};
    handling->next = peer->handlings;
    handling->previous = &peer->handlings;
    if (handling->next) handling->next->previous = &handling->next;
    peer->handlings = handling;
    peer->under_way++;
    all_under_way++;
    if (!handling->request.message) {
        handling_end(handling);
        return false;
    }
    if (!task_start_held("request", run_request, handling, &handling->task)) {
        bool told = packet->serial == 0;
        log_warning("no stack for a request of %s", name_of(peer));
        ipc_answer_failed(&handling->request, 451, "4.3.0", "out of resources");
        handling_end(handling);
        /* What was told and not asked (recipients ahead of a commit) may not get lost in silence:
         * then nothing that was said on this connection counts any more. */
        return !told;
    }
    return true;
}

bool ipc_answer(struct ipc_request *request, enum ipc_type type, const void *message, int descriptor) {
    struct ipc_peer *peer = request->peer;
    if (request->serial == 0 || !peer) return true; /* told, not asked */
    if (peer->broken) return false;
    enum ipc_transfer done =
        ipc_socket_send(&peer->socket, type, request->serial, message, descriptor, deadline_in(ANSWER_WAIT_MS));
    if (done == IPC_TRANSFER_DONE) return true;
    if (done == IPC_TRANSFER_INVALID)
        return ipc_answer_failed(request, 451, "4.3.0", "internal error: %s does not fit", ipc_type_name(type));
    if (done == IPC_TRANSFER_BROKEN) say_fault(peer, "cannot answer");
    /* Whoever waits for this answer must learn that it will not come. */
    peer->broken = true;
    shutdown(peer->socket.descriptor, SHUT_RDWR);
    return false;
}

bool ipc_answer_failed(struct ipc_request *request, uint64_t reply_code, const char *status, const char *format, ...) {
    char text[501];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct ipc_failed failed = {.reply_code = reply_code, .status = str_from(status), .text = str_from(text)};
    if (failed.reply_code > 599 || failed.status.length > 12) {
        failed.reply_code = 451;
        failed.status = STR("4.3.0");
    }
    return ipc_answer(request, IPC_FAILED, &failed, -1);
}

bool ipc_notify(struct ipc_peer *peer, enum ipc_type type, const void *message) {
    return !peer->broken &&
           ipc_socket_send(&peer->socket, type, 0, message, -1, deadline_in(ANSWER_WAIT_MS)) == IPC_TRANSFER_DONE;
}

/* ---- the connection */

static bool is_trusted(uint32_t uid) { return uid == 0 || uid == (uint32_t)geteuid(); }

/* One that was taken over shall not take all the sessions there are. */
static bool has_too_many(uint64_t process) {
    size_t count = 0;
    for (const struct ipc_peer *peer = served; peer; peer = peer->next)
        count += peer->process == process;
    return count > CONNECTIONS_OF_A_PROCESS;
}

/* Only master, or what runs under our own user, can say for which service it speaks. */
static bool take_hello(struct ipc_peer *peer, const struct ipc_packet *packet) {
    struct ipc_hello hello;
    if (!ipc_decode(packet->bytes, IPC_HELLO, &hello) || !str_equal(hello.version, ipc_version())) return false;
    if (is_trusted(peer->uid) && hello.service.length <= SERVICE_NAME_MAX && hello.program.length <= SERVICE_NAME_MAX) {
        memcpy(peer->program, hello.program.data, hello.program.length);
        peer->program[hello.program.length] = '\0';
        memcpy(peer->service, hello.service.data, hello.service.length);
        peer->service[hello.service.length] = '\0';
        peer->process = hello.process;
    }
    return peer->process == 0 || !has_too_many(peer->process);
}

static bool take_packet(struct ipc_peer *peer, struct ipc_packet *packet) {
    bool first = !peer->first_packet_seen;
    peer->first_packet_seen = true;
    if (packet->type == IPC_HELLO) return first && take_hello(peer, packet);
    return start_request(peer, packet);
}

/* Requests beyond that wait in the socket. */
static bool has_room(const struct ipc_peer *peer, size_t at_once) {
    if (peer->under_way >= at_once || all_under_way >= REQUESTS_AT_ONCE) return false;
    if (all_under_way < REQUESTS_OF_A_PROCESS || peer->process == 0) return true;
    size_t of_process = 0;
    for (const struct ipc_peer *other = served; other; other = other->next)
        if (other->process == peer->process) of_process += other->under_way;
    return of_process < REQUESTS_OF_A_PROCESS;
}

/* Waits for the next packet: at most idle_ms (0: for ever) while nothing is under way. */
static enum wait_result wait_for_packet(struct ipc_peer *peer, int64_t idle_ms) {
    enum wait_result waited;
    do waited = task_wait_readable(peer->socket.descriptor, idle_ms > 0 ? deadline_in(idle_ms) : DEADLINE_NEVER);
    while (waited == WAIT_TIMEOUT && peer->under_way > 0);
    return waited;
}

/* Reads until the peer has gone, has broken the rules or idles, or this task is cancelled. */
static void read_requests(struct ipc_peer *peer, size_t at_once, int64_t idle_ms) {
    enum wait_result waited = WAIT_READY;
    while (waited == WAIT_READY && !peer->broken) {
        if (!has_room(peer, at_once)) {
            waited = task_queue_wait(&room, DEADLINE_NEVER);
            continue;
        }
        struct ipc_packet packet;
        switch (ipc_socket_receive(&peer->socket, &packet)) {
        case IPC_TRANSFER_DONE:
            if (!take_packet(peer, &packet)) return;
            break;
        case IPC_TRANSFER_AGAIN:
            waited = wait_for_packet(peer, idle_ms);
            break;
        case IPC_TRANSFER_BROKEN:
            say_fault(peer, "cannot receive from");
            return;
        case IPC_TRANSFER_CLOSED:
        case IPC_TRANSFER_TIMEOUT:
        case IPC_TRANSFER_CANCELLED:
        case IPC_TRANSFER_INVALID:
            return;
        }
    }
}

static void sleep_briefly(void *argument) {
    (void)argument;
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* A cancelled task cannot wait; then the handlers, cancelled too, end soon, and a thread sleeps for us. */
static void wait_for_handlers(struct ipc_peer *peer) {
    while (peer->under_way > 0 && task_queue_wait(&peer->change, DEADLINE_NEVER) == WAIT_READY) continue;
    for (struct handling *handling = peer->handlings; handling; handling = handling->next)
        if (handling->task) task_cancel(handling->task);
    while (peer->under_way > 0) {
        task_yield();
        if (peer->under_way > 0) task_run_blocking(sleep_briefly, NULL);
    }
}

uint32_t ipc_descriptor_uid(int descriptor) {
    struct ucred credentials = {.uid = (uid_t)-1};
    socklen_t length = sizeof(credentials);
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 ? credentials.uid : UINT32_MAX;
}

/* ---- public sockets: master, root and our own account are served whatever they do */

/* False, and logged once: the account has as many as it may have, lest one takes the places of all. */
static bool may_have_another(uint32_t uid) {
    struct ipc_peer *known = NULL;
    size_t count = 0;
    bool told = false;
    for (struct ipc_peer *peer = served; peer; peer = peer->next) {
        if (peer->uid != uid) continue;
        known = peer;
        told |= peer->told;
        count++;
    }
    if (count < CONNECTIONS_OF_AN_ACCOUNT) return true;
    if (!told) log_warning("uid %u has %zu connections to this service: it gets no more", (unsigned)uid, count);
    known->told = true;
    return false;
}

void ipc_serve(int descriptor, size_t at_once, ipc_handler *handler, void *context) {
    uint32_t uid = ipc_descriptor_uid(descriptor);
    if (!is_trusted(uid)) {
        if (!may_have_another(uid)) {
            close(descriptor);
            return;
        }
        at_once = 1;
    }
    ipc_serve_while_used(descriptor, at_once, 0, handler, context);
}

void ipc_serve_while_used(int descriptor, size_t at_once, int64_t idle_ms, ipc_handler *handler, void *context) {
    struct ipc_peer *peer = MEMORY_NEW(struct ipc_peer);
    ipc_socket_open(&peer->socket, descriptor);
    peer->uid = ipc_descriptor_uid(descriptor);
    peer->handler = handler;
    peer->context = context;
    peer->next = served;
    peer->previous = &served;
    if (served) served->previous = &peer->next;
    served = peer;
    drain_if_unheld(peer);
    read_requests(peer, at_once ? at_once : 1, idle_ms);
    wait_for_handlers(peer);
    *peer->previous = peer->next;
    if (peer->next) peer->next->previous = peer->previous;
    if (peer->destroy_state) peer->destroy_state(peer->state);
    ipc_socket_close(&peer->socket);
    MEMORY_FREE(peer);
}
