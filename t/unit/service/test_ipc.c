/* IPC connections: many requests under way, descriptors, peers that die, drain or send garbage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc_socket.h"

/* A server on one end of a socket pair, started for each connection that the client makes. */
struct world {
    size_t at_once;
    size_t connections;
    size_t connections_ended;
    size_t under_way, most_under_way;
    size_t notified;
    size_t lost;
    bool hello; /* connections begin as master makes them */
    bool hold;  /* peers are held from their first request */
    bool refuse_connections;
    int last_server_end;
    char peer_service[40];
    struct task_queue release; /* handlers of IPC_WAKE wait here */
    size_t released_cancelled;
};

struct accepted {
    struct world *world;
    int descriptor;
};

static void handle(struct ipc_request *request, void *context) {
    struct world *world = context;
    if (++world->under_way > world->most_under_way) world->most_under_way = world->under_way;
    memcpy(world->peer_service, ipc_peer_service(request->peer).data, ipc_peer_service(request->peer).length + 1);
    if (world->hold) {
        ipc_peer_hold(request->peer);
        world->hold = false;
    }
    switch ((int)request->type) {
    case IPC_LOOKUP_EXPAND: { /* answers late for small numbers, so that order is turned */
        const struct ipc_lookup_expand *asked = request->message;
        uint64_t number;
        assert_true(str_to_u64(asked->address, 1000000, &number));
        if (number < 100) task_sleep((int64_t)(20 - number % 20));
        struct ipc_lookup_matched answer = {.found = true, .value = asked->address};
        ipc_answer(request, IPC_LOOKUP_MATCHED, &answer, -1);
        break;
    }
    case IPC_CLEANUP_OPEN: {
        int file = memfd_create("test", MFD_CLOEXEC);
        assert_int_equal(write(file, "content", 7), 7);
        struct ipc_cleanup_opened answer = {.queue_id = STR("ID")};
        ipc_answer(request, IPC_CLEANUP_OPENED, &answer, file);
        close(file);
        break;
    }
    case IPC_DELIVER: {
        char content[8] = {0};
        assert_true(request->descriptor >= 0);
        assert_true(fcntl(request->descriptor, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(pread(request->descriptor, content, 7, 0), 7);
        ipc_answer(request, IPC_DELIVERED, &(struct ipc_delivered){.dead_host = str_from(content)}, -1);
        break;
    }
    case IPC_QMGR_FLUSH:
        ipc_answer_failed(request, 451, "4.3.0", "not %d", 7);
        break;
    case IPC_LOOKUP_CHANGED: /* told: send one back, unasked */
        assert_true(ipc_notify(request->peer, IPC_LOOKUP_CHANGED, request->message));
        break;
    case IPC_WAKE:
        if (task_queue_wait(&world->release, DEADLINE_NEVER) == WAIT_CANCELLED) world->released_cancelled++;
        ipc_answer(request, IPC_DONE, &(struct ipc_done){}, -1);
        break;
    case IPC_READY: /* answers what nobody asked for */
        ipc_answer(request, IPC_LOOKUP_CHANGED, &(struct ipc_lookup_changed){}, -1);
        break;
    default:
        break;
    }
    world->under_way--;
}

static void run_server(void *argument) {
    struct accepted *accepted = argument;
    struct world *world = accepted->world;
    ipc_serve(accepted->descriptor, world->at_once, handle, world);
    world->connections_ended++;
    free(accepted);
}

static int make_connection(void *argument, deadline until, struct failure *failure) {
    struct world *world = argument;
    int pair[2];
    (void)until;
    if (world->refuse_connections) {
        failure_set(failure, "refused");
        return -1;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    if (world->hello) {
        struct buf packet = buf_make(0);
        struct ipc_hello hello = {.service = STR("smtp"), .version = ipc_version()};
        assert_true(ipc_encode(IPC_HELLO, 0, &hello, &packet));
        assert_int_equal(send(pair[0], packet.data, packet.length, 0), packet.length);
        buf_free(&packet);
    }
    struct accepted *accepted = MEMORY_NEW(struct accepted);
    *accepted = (struct accepted){world, pair[1]};
    world->connections++;
    world->last_server_end = pair[1];
    assert_true(task_start("server", run_server, accepted));
    return pair[0];
}

static void on_notify(struct ipc_request *request, void *context) {
    struct world *world = context;
    assert_int_equal(request->type, IPC_LOOKUP_CHANGED);
    world->notified++;
}

static void on_loss(void *context) { ((struct world *)context)->lost++; }

static struct ipc_client *make_client(struct world *world) {
    struct ipc_client *client = ipc_client_create(make_connection, world, on_notify, world);
    ipc_client_on_loss(client, on_loss, world);
    return client;
}

static enum ipc_result ask_number(struct ipc_client *client, uint64_t number, deadline until) {
    struct arena *arena = arena_create(0);
    struct ipc_reply reply;
    struct buf text = buf_make(0);
    buf_append_u64(&text, number);
    struct ipc_lookup_expand question = {.address = buf_str(&text)};
    enum ipc_result result =
        ipc_ask(client, IPC_LOOKUP_EXPAND, &question, -1, IPC_LOOKUP_MATCHED, until, arena, &reply, NULL);
    if (result == IPC_OK) {
        const struct ipc_lookup_matched *answer = reply.message;
        assert_true(str_equal(answer->value, buf_str(&text)));
    }
    buf_free(&text);
    arena_destroy(&arena);
    return result;
}

static enum ipc_result ask_done(struct ipc_client *client, enum ipc_type type, const void *message, deadline until,
                                struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_reply reply;
    enum ipc_result result = ipc_ask(client, type, message, -1, IPC_DONE, until, arena, &reply, failure);
    arena_destroy(&arena);
    return result;
}

/* ---- scenarios, each in a task of a loop of its own */

static void (*scenario)(struct world *world);
static struct world the_world;

static void run_scenario(void *argument) {
    (void)argument;
    scenario(&the_world);
}

static void play(void (*function)(struct world *world)) {
    struct failure failure;
    the_world = (struct world){.at_once = 1000};
    scenario = function;
    assert_true(loop_create(NULL, &failure));
    assert_true(task_start("scenario", run_scenario, NULL));
    loop_run(); /* until nobody lives: no task leaks */
    loop_destroy();
    assert_int_equal(the_world.connections, the_world.connections_ended);
    assert_int_equal(the_world.under_way, 0);
}

struct asking {
    struct ipc_client *client;
    uint64_t number;
    size_t *done;
    enum ipc_result result;
};

static void ask_one(void *argument) {
    struct asking *asking = argument;
    asking->result = ask_number(asking->client, asking->number, deadline_in(10000));
    ++*asking->done;
}

static void many_at_once(struct world *world) {
    struct ipc_client *client = make_client(world);
    static struct asking askings[500];
    size_t done = 0;
    world->hello = true;
    for (size_t i = 0; i < ARRAY_LENGTH(askings); i++) {
        askings[i] = (struct asking){client, i, &done, IPC_TIMEOUT};
        assert_true(task_start("ask", ask_one, &askings[i]));
    }
    while (done < ARRAY_LENGTH(askings)) task_sleep(5);
    for (size_t i = 0; i < ARRAY_LENGTH(askings); i++) assert_int_equal(askings[i].result, IPC_OK);
    assert_int_equal(world->connections, 1);
    if (world->at_once > 50) assert_true(world->most_under_way > 50);
    else assert_int_equal(world->most_under_way, world->at_once);
    assert_string_equal(world->peer_service, "smtp");
    ipc_client_destroy(&client);
    assert_null(client);
}

static void at_most_so_many(struct world *world) {
    world->at_once = 3;
    many_at_once(world);
}

static void descriptors_travel(struct world *world) {
    struct ipc_client *client = make_client(world);
    struct arena *arena = arena_create(0);
    struct ipc_reply reply;
    struct failure failure;
    assert_int_equal(ipc_ask(client, IPC_CLEANUP_OPEN, &(struct ipc_cleanup_open){}, -1, IPC_CLEANUP_OPENED, deadline_in(5000),
                             arena, &reply, &failure), IPC_OK);
    assert_true(fcntl(reply.descriptor, F_GETFD) & FD_CLOEXEC);
    int file = reply.descriptor;
    assert_int_equal(ipc_ask(client, IPC_DELIVER, &(struct ipc_deliver){.queue_id = STR("ID")}, file, IPC_DELIVERED,
                             deadline_in(5000), arena, &reply, &failure), IPC_OK);
    assert_true(str_equal(((const struct ipc_delivered *)reply.message)->dead_host, STR("content")));
    assert_int_equal(reply.descriptor, -1);
    /* with one too few, it is not even sent */
    assert_int_equal(ipc_ask(client, IPC_DELIVER, &(struct ipc_deliver){}, -1, IPC_DELIVERED, deadline_in(5000), arena, &reply,
                             &failure), IPC_UNREACHABLE);
    close(file);
    arena_destroy(&arena);
    assert_string_equal(world->peer_service, "");
    ipc_client_destroy(&client);
}

static void answers_of_all_kinds(struct world *world) {
    struct ipc_client *client = make_client(world);
    struct failure failure;
    assert_int_equal(ask_done(client, IPC_QMGR_FLUSH, &(struct ipc_qmgr_flush){}, deadline_in(5000), &failure), IPC_REFUSED);
    assert_string_equal(failure.text, "not 7");
    /* told, and told back */
    assert_int_equal(ipc_tell(client, IPC_LOOKUP_CHANGED, &(struct ipc_lookup_changed){}, deadline_in(1000), &failure), IPC_OK);
    for (int i = 0; i < 100 && world->notified == 0; i++) task_sleep(5);
    assert_int_equal(world->notified, 1);
    /* no answer in time; the late one is dropped and the connection stays good */
    assert_int_equal(ask_done(client, IPC_WAKE, &(struct ipc_wake){}, deadline_in(30), &failure), IPC_TIMEOUT);
    task_queue_wake_all(&world->release);
    assert_int_equal(ask_number(client, 7, deadline_in(1000)), IPC_OK);
    assert_int_equal(world->connections, 1);
    /* the wrong answer costs the connection */
    assert_int_equal(ask_done(client, IPC_READY, &(struct ipc_ready){}, deadline_in(1000), &failure), IPC_UNREACHABLE);
    assert_int_equal(ask_number(client, 8, deadline_in(1000)), IPC_OK);
    assert_int_equal(world->connections, 2);
    ipc_client_destroy(&client);
}

static void break_connection(void *argument) {
    struct world *world = argument;
    task_sleep(20);
    shutdown(world->last_server_end, SHUT_RDWR);
    task_sleep(20);
    task_queue_wake_all(&world->release);
}

static void peer_dies_mid_request(struct world *world) {
    struct ipc_client *client = make_client(world);
    struct failure failure;
    assert_true(task_start("break", break_connection, world));
    assert_int_equal(ask_done(client, IPC_WAKE, &(struct ipc_wake){}, deadline_in(5000), &failure), IPC_UNREACHABLE);
    assert_int_equal(world->lost, 1);
    assert_int_equal(ask_number(client, 3, deadline_in(5000)), IPC_OK);
    assert_int_equal(world->connections, 2);
    ipc_client_destroy(&client);
}

static void no_connection_to_be_had(struct world *world) {
    struct ipc_client *client = make_client(world);
    deadline start = clock_monotonic();
    world->refuse_connections = true;
    assert_int_equal(ask_number(client, 3, deadline_in(150)), IPC_TIMEOUT);
    assert_true(clock_monotonic() - start < 2000);
    world->refuse_connections = false;
    assert_int_equal(ask_number(client, 3, deadline_in(5000)), IPC_OK);
    ipc_client_destroy(&client);
}

static void asker_is_cancelled(void *argument) {
    struct asking *asking = argument;
    struct failure failure;
    asking->result = ask_done(asking->client, IPC_WAKE, &(struct ipc_wake){}, DEADLINE_NEVER, &failure);
}

static void cancelling(struct world *world) {
    struct ipc_client *client = make_client(world);
    struct asking asking = {.client = client, .result = IPC_OK};
    struct task *task;
    assert_true(task_start_held("asker", asker_is_cancelled, &asking, &task));
    task_sleep(20);
    task_cancel(task);
    assert_int_equal(task_join(task, deadline_in(1000)), WAIT_READY);
    task_release(&task);
    assert_int_equal(asking.result, IPC_CANCELLED);
    task_queue_wake_all(&world->release);
    ipc_client_destroy(&client);
}

/* ipc_serve's own task is cancelled: its handlers are too, and it returns after them. */
static void cancelled_server(struct world *world) {
    int pair[2];
    struct task *task;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct accepted *accepted = MEMORY_NEW(struct accepted);
    *accepted = (struct accepted){world, pair[1]};
    world->connections++;
    assert_true(task_start_held("server", run_server, accepted, &task));
    struct ipc_socket socket;
    ipc_socket_open(&socket, pair[0]);
    assert_int_equal(ipc_socket_send(&socket, IPC_WAKE, 5, &(struct ipc_wake){}, -1, deadline_in(100)), IPC_TRANSFER_DONE);
    task_sleep(20);
    assert_int_equal(world->under_way, 1);
    task_cancel(task);
    assert_int_equal(task_join(task, deadline_in(1000)), WAIT_READY);
    assert_int_equal(world->released_cancelled, 1);
    task_release(&task);
    ipc_socket_close(&socket);
}

static void ask_and_count(void *argument) {
    struct asking *asking = argument;
    struct failure failure;
    asking->result = ask_done(asking->client, IPC_WAKE, &(struct ipc_wake){}, deadline_in(5000), &failure);
    ++*asking->done;
}

/* What was asked is answered on the old connection, what comes later goes to another process. */
static void draining(struct world *world) {
    struct ipc_client *client = make_client(world);
    size_t done = 0;
    struct asking asking = {.client = client, .done = &done};
    world->hold = true;
    assert_int_equal(ask_number(client, 1, deadline_in(1000)), IPC_OK); /* holds its peer */
    assert_true(task_start("asker", ask_and_count, &asking));
    task_sleep(20);
    ipc_serve_drain();
    assert_int_equal(ask_number(client, 2, deadline_in(1000)), IPC_OK); /* held: goes on */
    assert_int_equal(world->connections, 1);
    ipc_client_destroy(&client);
    task_queue_wake_all(&world->release);
    while (done == 0) task_sleep(5);
}

static void draining_unheld(struct world *world) {
    /* Draining has begun in this process (the scenario before): connections end as they begin. */
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct ipc_socket socket;
    struct ipc_packet packet;
    ipc_socket_open(&socket, pair[0]);
    for (uint32_t serial = 1; serial < 4; serial++)
        assert_int_equal(ipc_socket_send(&socket, IPC_QMGR_FLUSH, serial, &(struct ipc_qmgr_flush){}, -1, deadline_in(100)),
                         IPC_TRANSFER_DONE);
    struct accepted *accepted = MEMORY_NEW(struct accepted);
    *accepted = (struct accepted){world, pair[1]};
    world->connections++;
    assert_true(task_start("server", run_server, accepted));
    for (unsigned answers = 0; answers < 3; answers++) { /* sent before: answered */
        assert_int_equal(task_wait_readable(pair[0], deadline_in(1000)), WAIT_READY);
        assert_int_equal(ipc_socket_receive(&socket, &packet), IPC_TRANSFER_DONE);
        assert_int_equal(packet.type, IPC_FAILED);
    }
    assert_int_equal(ipc_socket_send(&socket, IPC_QMGR_FLUSH, 9, &(struct ipc_qmgr_flush){}, -1, deadline_in(100)),
                     IPC_TRANSFER_CLOSED);
    ipc_socket_close(&socket);
}

/* ---- packets that no tern process sends */

static const struct {
    const char *what;
    const char *bytes;
    size_t length;
    unsigned descriptors;
} garbage[] = {
    {"one byte", "x", 1, 0},
    {"no such type", "\xff\x7f\x01\0\1\0\0\0\x0c\0\0\0", 12, 0},
    {"another format", "\x03\0\x02\0\1\0\0\0\x0c\0\0\0", 12, 0},
    {"too short for its length", "\x03\0\x01\0\1\0\0\0\x0d\0\0\0", 12, 0},
    {"bytes after the last field", "\x03\0\x01\0\1\0\0\0\x0d\0\0\0x", 13, 0},
    {"a descriptor that is not declared", "\x03\0\x01\0\1\0\0\0\x0c\0\0\0", 12, 1},
    {"many descriptors", "\x03\0\x01\0\1\0\0\0\x0c\0\0\0", 12, 20},
    {"nothing but a descriptor", "", 0, 1},
};

static size_t count_descriptors(void) {
    size_t count = 0;
    for (int i = 0; i < 256; i++) count += fcntl(i, F_GETFD) >= 0;
    return count;
}

static void send_garbage(int socket, size_t which) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(20 * sizeof(int))];
    } control = {0};
    struct iovec part = {(char *)(uintptr_t)garbage[which].bytes, garbage[which].length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int descriptors[20] = {0}; /* standard input will do */
    if (garbage[which].descriptors) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(garbage[which].descriptors * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(garbage[which].descriptors * sizeof(int));
        memcpy(CMSG_DATA(&control.header), descriptors, garbage[which].descriptors * sizeof(int));
    }
    assert_true(sendmsg(socket, &message, 0) >= 0);
}

static void garbage_costs_the_connection(struct world *world) {
    (void)task_sleep(1);
    for (size_t i = 0; i < ARRAY_LENGTH(garbage); i++) {
        int pair[2];
        char byte;
        size_t before = count_descriptors();
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        struct accepted *accepted = MEMORY_NEW(struct accepted);
        *accepted = (struct accepted){world, pair[1]};
        world->connections++;
        send_garbage(pair[0], i);
        assert_true(task_start("server", run_server, accepted));
        assert_int_equal(task_wait_readable(pair[0], deadline_in(1000)), WAIT_READY);
        ssize_t got = recv(pair[0], &byte, 1, MSG_DONTWAIT);
        assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
        task_forget_descriptor(pair[0]);
        close(pair[0]);
        assert_int_equal(count_descriptors(), before);
    }
}

/* Another version of the table, or a HELLO that is not the first packet. */
static void hello_must_fit(struct world *world) {
    for (unsigned i = 0; i < 2; i++) {
        int pair[2];
        char byte;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        struct accepted *accepted = MEMORY_NEW(struct accepted);
        *accepted = (struct accepted){world, pair[1]};
        world->connections++;
        struct ipc_socket socket;
        struct ipc_hello hello = {.service = STR("smtp"), .version = i ? ipc_version() : STR("0-0")};
        ipc_socket_open(&socket, pair[0]);
        if (i) assert_int_equal(ipc_socket_send(&socket, IPC_HELLO, 0, &hello, -1, deadline_in(100)), IPC_TRANSFER_DONE);
        assert_int_equal(ipc_socket_send(&socket, IPC_HELLO, 0, &hello, -1, deadline_in(100)), IPC_TRANSFER_DONE);
        assert_true(task_start("server", run_server, accepted));
        assert_int_equal(task_wait_readable(pair[0], deadline_in(1000)), WAIT_READY);
        assert_int_equal(recv(pair[0], &byte, 1, MSG_DONTWAIT), 0);
        ipc_socket_close(&socket);
    }
}

/* A process gets a number of connections, and no more; another still gets its own. */
static void connections_of_a_process_are_bounded(struct world *world) {
    enum { BOUND = 16 };
    struct ipc_socket sockets[BOUND + 2];
    for (unsigned i = 0; i < BOUND + 2; i++) {
        int pair[2];
        char byte;
        struct ipc_hello hello = {.service = STR("smtpd"), .version = ipc_version(), .process = i <= BOUND ? 4711 : 4712};
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        struct accepted *accepted = MEMORY_NEW(struct accepted);
        *accepted = (struct accepted){world, pair[1]};
        world->connections++;
        ipc_socket_open(&sockets[i], pair[0]);
        assert_int_equal(ipc_socket_send(&sockets[i], IPC_HELLO, 0, &hello, -1, deadline_in(100)), IPC_TRANSFER_DONE);
        assert_true(task_start("server", run_server, accepted));
        enum wait_result waited = task_wait_readable(pair[0], deadline_in(i == BOUND ? 1000 : 20));
        assert_int_equal(waited, i == BOUND ? WAIT_READY : WAIT_TIMEOUT);
        if (i == BOUND) assert_int_equal(recv(pair[0], &byte, 1, MSG_DONTWAIT), 0);
    }
    for (unsigned i = 0; i < BOUND + 2; i++) ipc_socket_close(&sockets[i]);
}

/* ---- large packets, and more of them than the socket holds */

static void ask_large(void *argument) {
    struct asking *asking = argument;
    static char letters[1000];
    struct buf packed = buf_make(120000);
    uint32_t count = 0;
    memset(letters, 'r', sizeof(letters));
    struct ipc_outcome outcome = {.text = str_make(letters, 1000), .diagnostic = str_make(letters, 1000)};
    while (ipc_list_add(IPC_ROW_OUTCOME, &outcome, &packed, &count)) continue;
    assert_true(packed.length > 115000);
    struct ipc_delivered large = {.outcomes = {buf_str(&packed), count}};
    asking->result = ipc_tell(asking->client, IPC_DELIVERED, &large, deadline_in(5000), NULL);
    if (asking->result == IPC_OK) asking->result = ask_number(asking->client, asking->number, deadline_in(5000));
    buf_free(&packed);
    ++*asking->done;
}

static void large_packets_wait_for_room(struct world *world) {
    struct ipc_client *client = make_client(world);
    static struct asking askings[60];
    size_t done = 0;
    world->at_once = 2;
    for (size_t i = 0; i < ARRAY_LENGTH(askings); i++) {
        askings[i] = (struct asking){client, i, &done, IPC_TIMEOUT};
        assert_true(task_start("ask", ask_large, &askings[i]));
    }
    while (done < ARRAY_LENGTH(askings)) task_sleep(5);
    for (size_t i = 0; i < ARRAY_LENGTH(askings); i++) assert_int_equal(askings[i].result, IPC_OK);
    assert_int_equal(world->connections, 1);
    ipc_client_destroy(&client);
}

/* ---- without a loop on the asker's side */

static bool ask_as_a_tool(int socket) {
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure;
    enum ipc_result result = ipc_ask_blocking(socket, IPC_CLEANUP_OPEN, &(struct ipc_cleanup_open){}, -1, IPC_CLEANUP_OPENED, 2000,
                                              arena, &reply, &failure);
    bool good = result == IPC_OK && reply.descriptor >= 0;
    result = ipc_ask_blocking(socket, IPC_QMGR_FLUSH, &(struct ipc_qmgr_flush){}, -1, IPC_DONE, 2000, arena, &reply, &failure);
    return good && result == IPC_REFUSED && strcmp(failure.text, "not 7") == 0;
}

static int tool_socket;

/* The tool has no loop: it runs on a thread that knows of none. */
static void *run_tool_thread(void *argument) {
    (void)argument;
    _exit(ask_as_a_tool(tool_socket) ? 0 : 1);
}

static void run_tool(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_tool_thread, NULL) != 0) _exit(2);
    for (;;) pause();
}

static void tools_ask_without_a_loop(struct world *world) {
    int pair[2];
    int status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    tool_socket = pair[0];
    pid_t tool = fork();
    if (tool == 0) run_tool();
    close(pair[0]);
    ipc_serve(pair[1], 1, handle, world); /* in this task: returns when the tool has ended */
    assert_int_equal(waitpid(tool, &status, 0), tool);
    assert_int_equal(status, 0);
}

/* What closes the connection without having read the question did not take it; once read, nobody knows. */
static void tools_learn_that_nothing_was_taken(struct world *world) {
    const struct {
        bool read;
        int error_number;
    } rows[] = {{false, EPIPE}, {true, 0}};
    (void)world;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int pair[2], status;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        tool_socket = pair[0];
        pid_t tool = fork();
        if (tool == 0) {
            close(pair[1]);
            struct failure failure = {0};
            struct ipc_reply reply;
            struct arena *arena = arena_create(0);
            enum ipc_result result = ipc_ask_blocking(pair[0], IPC_QMGR_FLUSH, &(struct ipc_qmgr_flush){}, -1,
                                                      IPC_DONE, 5000, arena, &reply, &failure);
            _exit(result == IPC_UNREACHABLE && failure.error_number == rows[i].error_number ? 0 : 1);
        }
        close(pair[0]);
        assert_int_equal(task_wait_readable(pair[1], deadline_in(5000)), WAIT_READY);
        char packet[1000];
        if (rows[i].read) assert_true(recv(pair[1], packet, sizeof(packet), 0) > 0);
        task_forget_descriptor(pair[1]);
        close(pair[1]);
        assert_int_equal(waitpid(tool, &status, 0), tool);
        assert_int_equal(status, 0);
    }
}

/* ---- connections that idle */

static void run_idling_server(void *argument) {
    struct accepted *accepted = argument;
    ipc_serve_while_used(accepted->descriptor, 5, 60, handle, accepted->world);
    accepted->world->connections_ended++;
    free(accepted);
}

static void idle_connections_end(struct world *world) {
    int pair[2];
    struct task *task;
    struct ipc_packet packet;
    struct ipc_socket socket;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct accepted *accepted = MEMORY_NEW(struct accepted);
    *accepted = (struct accepted){world, pair[1]};
    world->connections++;
    assert_true(task_start_held("server", run_idling_server, accepted, &task));
    ipc_socket_open(&socket, pair[0]);
    assert_int_equal(ipc_socket_send(&socket, IPC_WAKE, 5, &(struct ipc_wake){}, -1, deadline_in(100)), IPC_TRANSFER_DONE);
    /* What is under way keeps it open. */
    assert_int_equal(task_join(task, deadline_in(200)), WAIT_TIMEOUT);
    assert_int_equal(world->under_way, 1);
    task_queue_wake_all(&world->release);
    assert_int_equal(task_join(task, deadline_in(5000)), WAIT_READY);
    assert_int_equal(world->connections_ended, 1);
    assert_int_equal(ipc_socket_receive(&socket, &packet), IPC_TRANSFER_DONE);
    assert_int_equal(packet.type, IPC_DONE);
    assert_int_equal(ipc_socket_receive(&socket, &packet), IPC_TRANSFER_CLOSED);
    task_release(&task);
    ipc_socket_close(&socket);
}

#define PLAY(name) static void test_##name(void **state) { (void)state; play(name); }
PLAY(many_at_once)
PLAY(at_most_so_many)
PLAY(descriptors_travel)
PLAY(answers_of_all_kinds)
PLAY(peer_dies_mid_request)
PLAY(no_connection_to_be_had)
PLAY(cancelling)
PLAY(cancelled_server)
PLAY(garbage_costs_the_connection)
PLAY(hello_must_fit)
PLAY(connections_of_a_process_are_bounded)
PLAY(large_packets_wait_for_room)
PLAY(tools_ask_without_a_loop)
PLAY(tools_learn_that_nothing_was_taken)
PLAY(idle_connections_end)
PLAY(draining)
PLAY(draining_unheld)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_at_most_so_many),
        cmocka_unit_test(test_descriptors_travel),
        cmocka_unit_test(test_answers_of_all_kinds),
        cmocka_unit_test(test_peer_dies_mid_request),
        cmocka_unit_test(test_no_connection_to_be_had),
        cmocka_unit_test(test_cancelling),
        cmocka_unit_test(test_cancelled_server),
        cmocka_unit_test(test_garbage_costs_the_connection),
        cmocka_unit_test(test_hello_must_fit),
        cmocka_unit_test(test_connections_of_a_process_are_bounded),
        cmocka_unit_test(test_large_packets_wait_for_room),
        cmocka_unit_test(test_tools_ask_without_a_loop),
        cmocka_unit_test(test_tools_learn_that_nothing_was_taken),
        cmocka_unit_test(test_idle_connections_end),
        cmocka_unit_test(test_draining), /* and from here on the process drains */
        cmocka_unit_test(test_draining_unheld),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
