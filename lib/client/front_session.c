/* The front's side of session_channel.h: a client's connection is lent to a session, and taken back. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc_socket.h"
#include "session_channel.h"
#include "task.h"

#define OPEN_TIME 60000 /* ms that mailbox has to make a session */
#define SEND_TIME 60000
#define PIECE     16384 /* octets that are copied at once */
#define INPUT_MAX 60000 /* octets of SESSION_ATTACH's input */
#define LOST_TIME 5000  /* ms that a client has for what a session has left that is gone without a word */
#define TAKE_TIME 60000 /* ms without anything taken of what another one has said */
#define TAKES_MAX 10    /* of them */

/* For TLS: a pair of sockets whose one side the session has, and two tasks that copy. */
struct pump {
    struct stream *client; /* TLS */
    struct stream *plain;  /* our side of the pair */
    int session_side;      /* the session's, a copy of which we keep: to read what it left */
    struct task *inward;
    bool inward_ended, client_gone;
};

static bool write_all(struct stream *to, struct str bytes) {
    return stream_write(to, bytes) == STREAM_OK && stream_flush(to) == STREAM_OK;
}

/* Client to session. What could not be written is still to be read. */
static void copy_inward(void *argument) {
    struct pump *pump = argument;
    bool good = true;
    while (good && stream_fill(pump->client, 0) == STREAM_OK) {
        uint64_t before = stream_bytes_written(pump->plain);
        good = write_all(pump->plain, str_slice(stream_peek(pump->client), 0, PIECE));
        stream_consume(pump->client, (size_t)(stream_bytes_written(pump->plain) - before));
    }
    if (!task_is_cancelled(task_current())) {
        pump->client_gone = true;
        shutdown(stream_descriptor(pump->plain), SHUT_WR); /* the session reads the end */
    }
    pump->inward_ended = true;
}

static bool pump_begin(struct pump *pump, struct stream *client, struct failure *failure) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return failure_set_errno(failure, errno, "cannot make a pair of sockets");
    *pump = (struct pump){.client = client, .plain = stream_create(pair[0], 65536), .session_side = pair[1]};
    stream_set_deadline(client, DEADLINE_NEVER);
    stream_share(client, true);
    stream_share(pump->plain, true);
    if (task_start_held("inward", copy_inward, pump, &pump->inward)) return true;
    stream_destroy(&pump->plain);
    close(pair[1]);
    return failure_set(failure, "out of resources");
}

/* What the session has not read any more, of what was copied already, is to be read from the client again. */
static void give_back_unread(struct pump *pump) {
    struct buf left = buf_make(0);
    char bytes[4096];
    ssize_t got;
    while ((got = recv(pump->session_side, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        buf_append_bytes(&left, bytes, (size_t)got);
    stream_push_back(pump->client, buf_str(&left));
    buf_free(&left);
}

static void pump_end(struct pump *pump) {
    task_cancel(pump->inward);
    if (task_join(pump->inward, DEADLINE_NEVER) != WAIT_READY) return; /* ours is cancelled: the process ends */
    task_release(&pump->inward);
    give_back_unread(pump);
    stream_share(pump->client, false);
    stream_destroy(&pump->plain);
    close(pump->session_side);
}

/* ---- what the session says */

struct lent {
    struct ipc_socket control;
    struct stream *connection;
    struct pump pump;
    bool encrypted;
    bool over; /* the control connection has said its last */
    enum front_end end;
    struct arena *arena;
    struct str state, input;
    struct str watches;
    int inotify;
    bool unwatched;
    uint64_t owner;
    struct task *listener;
    bool copied; /* all that the session has said, or as much as the client took */
    struct task_queue copying;
};

static void hear(struct lent *lent, const struct ipc_packet *packet) {
    if (packet->type == IPC_SESSION_IDLE) {
        const struct ipc_session_idle *idle = ipc_packet_decode(packet, lent->arena);
        if (!idle && packet->descriptor >= 0) close(packet->descriptor);
        if (!idle) return;
        lent->end = FRONT_IDLE;
        lent->state = idle->state;
        lent->input = idle->input;
        lent->unwatched = idle->unwatched;
        lent->watches = idle->watches;
        lent->inotify = packet->descriptor;
        return;
    }
    if (packet->descriptor >= 0) close(packet->descriptor);
    if (packet->type == IPC_SESSION_ENDED) lent->end = FRONT_ENDED;
}

/* Until the session has spoken or is gone; for TLS in a task beside the one that copies outward. */
static void listen_to_session(struct lent *lent) {
    struct ipc_packet packet = {.descriptor = -1};
    for (;;) {
        enum ipc_transfer transfer = ipc_socket_receive(&lent->control, &packet);
        if (transfer == IPC_TRANSFER_DONE) {
            hear(lent, &packet);
            if (lent->end != FRONT_LOST) break;
            continue;
        }
        if (transfer != IPC_TRANSFER_AGAIN) break;
        if (task_wait_readable(lent->control.descriptor, DEADLINE_NEVER) != WAIT_READY) break;
    }
    lent->over = true;
}

/* A client that takes nothing any more is let go: there is no session that would give it up. */
static void wait_for_copy(struct lent *lent) {
    bool going = true;
    for (int i = 0; i < TAKES_MAX && going && !lent->copied; i++) {
        uint64_t before = stream_bytes_written(lent->connection);
        deadline until = deadline_in(lent->end == FRONT_LOST ? LOST_TIME : TAKE_TIME);
        while (!lent->copied && task_queue_wait(&lent->copying, until) == WAIT_READY)
            continue;
        going = lent->end != FRONT_LOST && stream_bytes_written(lent->connection) > before;
    }
    if (!lent->copied) shutdown(stream_descriptor(lent->connection), SHUT_RDWR);
}

static void listener_task(void *argument) {
    struct lent *lent = argument;
    listen_to_session(lent);
    /* Everything the session said is in the pair by now: the copying task reads until there is nothing, then ends. */
    shutdown(lent->pump.session_side, SHUT_WR);
    wait_for_copy(lent);
}

/* Session to client, in the task of the connection; ends when the session's side is shut. */
static void copy_outward(struct lent *lent) {
    struct str bytes;
    bool good = true;
    while (stream_read_some(lent->pump.plain, PIECE, &bytes) == STREAM_OK) {
        if (!good) continue; /* a client that takes nothing must not hold up its session */
        good = stream_write(lent->connection, bytes) == STREAM_OK;
        if (good && !stream_readable_now(lent->pump.plain)) good = stream_flush(lent->connection) == STREAM_OK;
    }
    if (!good || stream_flush(lent->connection) != STREAM_OK) lent->pump.client_gone = true;
    lent->copied = true;
    task_queue_wake_one(&lent->copying);
}

/* ---- lending */

static bool open_control(struct lent *lent, struct ipc_client *mailbox, struct str ticket, struct str state,
                         struct failure *failure) {
    int pair[2];
    struct ipc_reply reply = {.descriptor = -1};
    struct ipc_mailbox_open open = {.ticket = ticket, .state = state};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return failure_set_errno(failure, errno, "cannot make a pair of sockets");
    ipc_socket_open(&lent->control, pair[0]);
    bool good = ipc_ask(mailbox, IPC_MAILBOX_OPEN, &open, pair[1], IPC_MAILBOX_OPENED, deadline_in(OPEN_TIME),
                        lent->arena, &reply, failure) == IPC_OK;
    close(pair[1]);
    if (good) lent->owner = ((const struct ipc_mailbox_opened *)reply.message)->owner;
    if (!good) ipc_socket_close(&lent->control);
    return good;
}

static bool attach(struct lent *lent, struct front_loan *loan, const struct ipc_session_attach *message,
                   struct failure *failure) {
    int descriptor = stream_descriptor(lent->connection);
    struct ipc_session_watched watched = {.empty_ = {}};
    if (lent->encrypted) {
        if (!pump_begin(&lent->pump, lent->connection, failure)) return false;
        descriptor = lent->pump.session_side;
    }
    int inotify = front_watches_lend(loan->watches, loan->watcher, lent->owner);
    bool good = inotify < 0 || ipc_socket_send(&lent->control, IPC_SESSION_WATCHED, 0, &watched, inotify,
                                               deadline_in(SEND_TIME)) == IPC_TRANSFER_DONE;
    good = good && ipc_socket_send(&lent->control, IPC_SESSION_ATTACH, 0, message, descriptor,
                                   deadline_in(SEND_TIME)) == IPC_TRANSFER_DONE;
    if (!good) return failure_set(failure, "the session is gone");
    front_watches_lent(loan->watches, loan->watcher);
    return true;
}

static void see_through(struct lent *lent) {
    if (!lent->encrypted) {
        listen_to_session(lent);
    } else if (task_start_held("session", listener_task, lent, &lent->listener)) {
        copy_outward(lent);
        if (task_join(lent->listener, DEADLINE_NEVER) == WAIT_READY) task_release(&lent->listener);
    }
}

enum front_end front_session_run(struct ipc_client *mailbox, struct front_loan *loan, struct arena *arena,
                                 struct failure *failure) {
    struct lent lent = {.connection = loan->connection,
                        .encrypted = loan->encrypted,
                        .end = FRONT_LOST,
                        .arena = arena,
                        .inotify = -1,
                        .state = STR_EMPTY,
                        .input = STR_EMPTY,
                        .watches = STR_EMPTY};
    struct buf pending = buf_make(0);
    struct ipc_session_attach message = {
        .tag = loan->tag, .reason = loan->reason, .encrypted = loan->encrypted, .client_address = loan->client_address};
    buf_append(&pending, loan->input);
    /* With TLS the rest is copied. Without, there is none: nobody reads so far ahead. */
    struct str ahead = str_slice(stream_peek(loan->connection), 0, INPUT_MAX - pending.length);
    buf_append(&pending, ahead);
    message.input = buf_str(&pending);
    if (!open_control(&lent, mailbox, loan->ticket, loan->state, failure)) {
        buf_free(&pending);
        return FRONT_LOST; /* what was read ahead is still there for another try */
    }
    stream_consume(loan->connection, ahead.length);
    bool attached = attach(&lent, loan, &message, failure);
    if (attached) see_through(&lent);
    /* A failure's text says that no session has had the client: another may be tried (front.c). One that has had it
     * knew things that the saved state does not. */
    if (attached || lent.encrypted) *failure = (struct failure){0};
    if (lent.encrypted && lent.pump.plain) pump_end(&lent.pump);
    if (!attached) stream_push_back(loan->connection, str_from_offset(buf_str(&pending), loan->input.length));
    ipc_socket_close(&lent.control);
    if (lent.end == FRONT_IDLE) {
        loan->new_state = lent.state;
        loan->unwatched = lent.unwatched;
        loan->look = lent.inotify < 0 && lent.unwatched && front_watches_has(loan->watches, lent.owner);
        if (!front_watches_take(loan->watches, loan->watcher, lent.owner, lent.inotify, lent.watches))
            loan->look = true;
        loan->new_input = lent.input;
    } else if (lent.inotify >= 0) {
        close(lent.inotify);
    }
    if (lent.encrypted && lent.pump.client_gone && lent.end == FRONT_IDLE) lent.end = FRONT_ENDED;
    buf_free(&pending);
    return lent.end;
}
