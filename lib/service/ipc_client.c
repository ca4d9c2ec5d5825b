/* Asking over a connection: many tasks ask at once, one reader gives each its
 * answer by serial number. A lost connection is made again when next needed;
 * while the old one still owes answers both live. */
#include <unistd.h>

#include "ipc_codec.h"
#include "ipc_socket.h"
#include "log.h"

enum {
    PAUSE_FIRST_MS = 20,
    PAUSE_LAST_MS = 1000,
    CONNECT_PATIENCE_MS = 10000, /* after that long without a connection the asker is told */
    BUCKETS = 64,
};

/* Somebody who waits for an answer; lives on the asker's stack. */
struct asker {
    struct asker *next, **previous;
    uint32_t serial;
    struct arena *arena;
    struct ipc_reply reply;
    enum { ASKER_WAITS, ASKER_ANSWERED, ASKER_LOST } state;
    struct task_queue wake;
};

struct connection {
    struct ipc_socket socket;
    struct ipc_client *client; /* NULL once that is gone */
    struct connection *next;   /* of the client's connections */
    struct task *reader;
    size_t users;    /* reader, and tasks in the middle of sending or waiting */
    size_t waiting;  /* askers */
    bool retired;    /* takes no more requests */
    bool useful;     /* has brought an answer or a notification */
    struct asker *askers[BUCKETS];
};

struct ipc_client {
    ipc_connector *connector;
    void *context;
    ipc_handler *on_notify;
    void *notify_context;
    void (*on_loss)(void *context);
    void *loss_context;
    struct connection *current;
    struct connection *connections; /* all that live */
    bool connecting;
    struct task_queue connected;
    deadline next_try;
    int64_t pause;
    uint32_t serial;
    size_t users; /* tasks inside; they see destroyed and leave */
    bool destroyed;
};

/* ---- lifetimes */

static void connection_release(struct connection *connection) {
    if (--connection->users > 0) return;
    ipc_socket_close(&connection->socket);
    if (connection->client) {
        struct connection **link = &connection->client->connections;
        while (*link != connection) link = &(*link)->next;
        *link = connection->next;
    }
    MEMORY_FREE(connection);
}

static void client_release(struct ipc_client *client) {
    if (--client->users == 0) MEMORY_FREE(client);
}

/* No more requests on it. */
static void connection_retire(struct connection *connection) {
    connection->retired = true;
    if (connection->client && connection->client->current == connection) connection->client->current = NULL;
}

static void connection_fail_all(struct connection *connection) {
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct asker *asker = connection->askers[i]; asker; asker = asker->next) {
            if (asker->state != ASKER_WAITS) continue;
            asker->state = ASKER_LOST;
            task_queue_wake_all(&asker->wake);
        }
    }
}

/* A fault of this machine ended it: whoever asked may well get through by another connection, and then nobody
 * else would hear of it. */
static void connection_say_fault(const struct connection *connection, const char *doing) {
    int reason = connection->socket.error_number;
    if (failure_is_local(reason))
        log_warning("%s another daemon: %s; the connection is made anew", doing, strerror(reason));
}

/* After a failure to connect, or a connection that was lost before it brought anything. */
static void client_pause(struct ipc_client *client) {
    client->pause = client->pause == 0 ? PAUSE_FIRST_MS : client->pause * 2;
    if (client->pause > PAUSE_LAST_MS) client->pause = PAUSE_LAST_MS;
    client->next_try = deadline_in(client->pause);
}

/* ---- the reader */

struct notification {
    struct ipc_request request;
    ipc_handler *handler;
    void *context;
};

static void run_notification(void *argument) {
    struct notification *notification = argument;
    struct arena *arena = notification->request.arena;
    notification->handler(&notification->request, notification->context);
    if (notification->request.descriptor >= 0) close(notification->request.descriptor);
    arena_destroy(&arena);
}

static bool take_notification(struct connection *connection, const struct ipc_packet *packet) {
    struct ipc_client *client = connection->client;
    if (!client || !client->on_notify) {
        if (packet->descriptor >= 0) close(packet->descriptor);
        return true;
    }
    struct arena *arena = arena_create(0);
    struct notification *notification = ARENA_NEW(arena, struct notification);
    notification->request = (struct ipc_request){
        .type = packet->type, .message = ipc_packet_decode(packet, arena), .descriptor = packet->descriptor, .arena = arena};
    notification->handler = client->on_notify;
    notification->context = client->notify_context;
    if (notification->request.message && task_start("notification", run_notification, notification)) return true;
    bool decoded = notification->request.message;
    if (decoded)
        log_warning("no stack for what another daemon said (%s): it goes unheard", ipc_type_name(packet->type));
    if (packet->descriptor >= 0) close(packet->descriptor);
    arena_destroy(&arena);
    return decoded;
}

static bool is_well_formed(const struct ipc_packet *packet) {
    struct arena *arena = arena_create(0);
    bool good = ipc_packet_decode(packet, arena) != NULL;
    arena_destroy(&arena);
    return good;
}

/* Late answers, to askers that have given up, are dropped. */
static bool take_answer(struct connection *connection, const struct ipc_packet *packet) {
    struct asker *asker = connection->askers[packet->serial % BUCKETS];
    while (asker && asker->serial != packet->serial) asker = asker->next;
    void *message = NULL;
    bool wanted = asker && asker->state == ASKER_WAITS;
    if (wanted) message = ipc_packet_decode(packet, asker->arena);
    if (!message) {
        if (packet->descriptor >= 0) close(packet->descriptor);
        if (!wanted) return true;
        if (!is_well_formed(packet)) return false;
        /* The asker's arena is full: its own trouble, not the connection's. */
        asker->state = ASKER_LOST;
        task_queue_wake_all(&asker->wake);
        return true;
    }
    asker->reply = (struct ipc_reply){packet->type, message, packet->descriptor};
    asker->state = ASKER_ANSWERED;
    task_queue_wake_all(&asker->wake);
    return true;
}

static void connection_proves_useful(struct connection *connection) {
    connection->useful = true;
    if (connection->client) connection->client->pause = 0;
}

static void read_answers(void *argument) {
    struct connection *connection = argument;
    struct ipc_packet packet;
    enum ipc_transfer got = IPC_TRANSFER_AGAIN;
    while (got == IPC_TRANSFER_DONE || got == IPC_TRANSFER_AGAIN) {
        got = ipc_socket_receive(&connection->socket, &packet);
        if (got == IPC_TRANSFER_DONE &&
            !(packet.serial == 0 ? take_notification(connection, &packet) : take_answer(connection, &packet)))
            got = IPC_TRANSFER_BROKEN;
        if (got == IPC_TRANSFER_DONE && !connection->useful) connection_proves_useful(connection);
        if (got == IPC_TRANSFER_AGAIN && task_wait_readable(connection->socket.descriptor, DEADLINE_NEVER) != WAIT_READY)
            got = IPC_TRANSFER_CANCELLED;
    }
    if (got == IPC_TRANSFER_BROKEN) connection_say_fault(connection, "cannot receive from");
    connection_retire(connection);
    connection_fail_all(connection);
    ipc_socket_close(&connection->socket);
    task_release(&connection->reader);
    struct ipc_client *client = connection->client;
    if (client && !connection->useful) client_pause(client);
    if (client && client->on_loss) client->on_loss(client->loss_context);
    connection_release(connection);
}

/* ---- connecting */

static bool connection_start(struct ipc_client *client, int descriptor, struct failure *failure) {
    struct connection *connection = MEMORY_NEW(struct connection);
    ipc_socket_open(&connection->socket, descriptor);
    connection->client = client;
    connection->next = client->connections;
    client->connections = connection;
    connection->users = 1;
    if (!task_start_held("ipc reader", read_answers, connection, &connection->reader)) {
        connection_release(connection);
        log_warning("no stack to read what another daemon answers; the connection is made again");
        return failure_set(failure, "out of resources");
    }
    client->current = connection;
    return true;
}

static enum ipc_result result_of_wait(enum wait_result waited) {
    return waited == WAIT_CANCELLED ? IPC_CANCELLED : waited == WAIT_TIMEOUT ? IPC_TIMEOUT : IPC_OK;
}

/* One attempt, by one task for all that wait. */
static void client_connect_once(struct ipc_client *client, deadline until, struct failure *failure) {
    client->connecting = true;
    int descriptor = client->connector(client->context, until, failure);
    client->connecting = false;
    if (descriptor >= 0 && client->destroyed) close(descriptor);
    else if (descriptor < 0 || !connection_start(client, descriptor, failure)) client_pause(client);
    task_queue_wake_all(&client->connected);
}

/* A connection is current when this returns IPC_OK. */
static enum ipc_result client_want_connection(struct ipc_client *client, deadline until, struct failure *failure) {
    deadline patience = deadline_in(CONNECT_PATIENCE_MS);
    bool own_patience = patience < until;
    if (!own_patience) patience = until;
    failure_set(failure, "no connection");
    while (!client->current && !client->destroyed) {
        enum wait_result waited = WAIT_READY;
        if (client->connecting) {
            waited = task_queue_wait(&client->connected, patience);
        } else if (deadline_left(client->next_try) > 0) {
            waited = task_queue_wait(&client->connected, client->next_try < patience ? client->next_try : patience);
            if (waited == WAIT_TIMEOUT && deadline_left(patience) > 0) waited = WAIT_READY;
        } else {
            client_connect_once(client, patience, failure);
            if (!client->current && task_is_cancelled(task_current())) waited = WAIT_CANCELLED;
            else if (!client->current && deadline_left(patience) == 0) waited = WAIT_TIMEOUT;
        }
        if (waited == WAIT_TIMEOUT && own_patience) return IPC_UNREACHABLE;
        if (waited != WAIT_READY) return result_of_wait(waited);
    }
    return client->current ? IPC_OK : IPC_UNREACHABLE;
}

/* ---- asking */

static void asker_add(struct connection *connection, struct asker *asker) {
    struct asker **bucket = &connection->askers[asker->serial % BUCKETS];
    asker->next = *bucket;
    asker->previous = bucket;
    if (asker->next) asker->next->previous = &asker->next;
    *bucket = asker;
    connection->waiting++;
}

static void asker_remove(struct connection *connection, struct asker *asker) {
    *asker->previous = asker->next;
    if (asker->next) asker->next->previous = asker->previous;
    connection->waiting--;
}

static enum ipc_result result_of_send(enum ipc_transfer sent, enum ipc_type type, struct failure *failure) {
    switch (sent) {
    case IPC_TRANSFER_DONE:
        return IPC_OK;
    case IPC_TRANSFER_TIMEOUT:
        failure_set(failure, "time-out while sending %s", ipc_type_name(type));
        return IPC_TIMEOUT;
    case IPC_TRANSFER_CANCELLED:
        failure_set(failure, "cancelled while sending %s", ipc_type_name(type));
        return IPC_CANCELLED;
    case IPC_TRANSFER_INVALID:
        failure_set(failure, "%s has a field beyond its bound", ipc_type_name(type));
        return IPC_UNREACHABLE;
    case IPC_TRANSFER_AGAIN:
    case IPC_TRANSFER_CLOSED:
    case IPC_TRANSFER_BROKEN:
        break;
    }
    failure_set(failure, "connection lost while sending %s", ipc_type_name(type));
    return IPC_UNREACHABLE;
}

/* Gets a connection and sends; asker may be NULL. A send that the other side refuses as a whole
 * (it is draining or gone) did not reach anybody and may go to the next connection. On IPC_OK
 * *used has a user more. */
static enum ipc_result client_send(struct ipc_client *client, enum ipc_type type, const void *message, int descriptor,
                                   deadline until, struct asker *asker, struct connection **used, struct failure *failure) {
    enum ipc_transfer sent = IPC_TRANSFER_CLOSED;
    for (unsigned attempt = 0; attempt < 3 && sent == IPC_TRANSFER_CLOSED; attempt++) {
        enum ipc_result result = client_want_connection(client, until, failure);
        if (result != IPC_OK) return result;
        struct connection *connection = client->current;
        connection->users++;
        if (asker) asker_add(connection, asker);
        sent = ipc_socket_send(&connection->socket, type, asker ? asker->serial : 0, message, descriptor, until);
        if (sent == IPC_TRANSFER_DONE) {
            *used = connection;
            return IPC_OK;
        }
        if (asker) {
            asker_remove(connection, asker);
            asker->state = ASKER_WAITS;
        }
        if (sent == IPC_TRANSFER_BROKEN) connection_say_fault(connection, "cannot send to");
        if (sent == IPC_TRANSFER_CLOSED || sent == IPC_TRANSFER_BROKEN) connection_retire(connection);
        if (sent == IPC_TRANSFER_BROKEN && connection->reader) task_cancel(connection->reader);
        connection_release(connection);
    }
    return result_of_send(sent, type, failure);
}

static uint32_t next_serial(struct ipc_client *client) {
    if (++client->serial == 0) client->serial = 1;
    return client->serial;
}

/* After the wait: what came of it. */
static enum ipc_result judge_answer(struct connection *connection, struct asker *asker, enum ipc_type type,
                                    enum ipc_type expected, struct ipc_reply *reply, struct failure *failure) {
    if (asker->state == ASKER_LOST) {
        failure_set(failure, "connection lost before the answer to %s", ipc_type_name(type));
        return IPC_UNREACHABLE;
    }
    if (asker->reply.type == IPC_FAILED) {
        const struct ipc_failed *failed = asker->reply.message;
        failure_set(failure, "%.*s", STR_ARGS(failed->text));
        *reply = asker->reply;
        return IPC_REFUSED;
    }
    if (asker->reply.type != expected) {
        failure_set(failure, "%s was answered by %s", ipc_type_name(type), ipc_type_name(asker->reply.type));
        if (asker->reply.descriptor >= 0) close(asker->reply.descriptor);
        connection_retire(connection);
        if (connection->reader) task_cancel(connection->reader);
        return IPC_UNREACHABLE;
    }
    *reply = asker->reply;
    return IPC_OK;
}

enum ipc_result ipc_ask(struct ipc_client *client, enum ipc_type type, const void *message, int descriptor,
                        enum ipc_type expected, deadline until, struct arena *arena, struct ipc_reply *reply,
                        struct failure *failure) {
    struct asker asker = {.serial = next_serial(client), .arena = arena, .reply = {.descriptor = -1}};
    struct connection *connection;
    client->users++;
    enum ipc_result result = client_send(client, type, message, descriptor, until, &asker, &connection, failure);
    if (result == IPC_OK) {
        enum wait_result waited = WAIT_READY;
        while (asker.state == ASKER_WAITS && waited == WAIT_READY) waited = task_queue_wait(&asker.wake, until);
        asker_remove(connection, &asker);
        if (asker.state == ASKER_WAITS) {
            result = result_of_wait(waited);
            failure_set(failure, "%s while waiting for the answer to %s",
                        waited == WAIT_TIMEOUT ? "time-out" : "cancelled", ipc_type_name(type));
        } else {
            result = judge_answer(connection, &asker, type, expected, reply, failure);
        }
        connection_release(connection);
    }
    client_release(client);
    return result;
}

enum ipc_result ipc_tell_with(struct ipc_client *client, enum ipc_type type, const void *message, int descriptor,
                              deadline until, struct failure *failure) {
    struct connection *connection;
    client->users++;
    enum ipc_result result = client_send(client, type, message, descriptor, until, NULL, &connection, failure);
    if (result == IPC_OK) connection_release(connection);
    client_release(client);
    return result;
}

enum ipc_result ipc_tell(struct ipc_client *client, enum ipc_type type, const void *message, deadline until,
                         struct failure *failure) {
    return ipc_tell_with(client, type, message, -1, until, failure);
}

bool ipc_client_connect(struct ipc_client *client, deadline until, struct failure *failure) {
    client->users++;
    enum ipc_result result = client_want_connection(client, until, failure);
    client_release(client);
    return result == IPC_OK;
}

void ipc_client_on_loss(struct ipc_client *client, void (*function)(void *context), void *context) {
    client->on_loss = function;
    client->loss_context = context;
}

struct ipc_client *ipc_client_create(ipc_connector *connector, void *context, ipc_handler *on_notify, void *notify_context) {
    struct ipc_client *client = MEMORY_NEW(struct ipc_client);
    client->connector = connector;
    client->context = context;
    client->on_notify = on_notify;
    client->notify_context = notify_context;
    client->users = 1;
    return client;
}

void ipc_client_destroy(struct ipc_client **client) {
    struct ipc_client *ending = *client;
    if (!ending) return;
    *client = NULL;
    ending->destroyed = true;
    ending->current = NULL;
    for (struct connection *connection = ending->connections, *next; connection; connection = next) {
        next = connection->next;
        connection->client = NULL;
        connection->retired = true;
        if (connection->reader) task_cancel(connection->reader);
    }
    ending->connections = NULL;
    task_queue_wake_all(&ending->connected);
    client_release(ending);
}
