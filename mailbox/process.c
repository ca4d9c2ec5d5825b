/* The processes of sessions. One whose session is over waits for a while, and serves the next session of the same
 * account: making a process, and locking it in, costs more than a short session does.
 *
 * What it may reach is the account's own as before, and it is never given another account's session, whatever it says
 * of itself. It waits for mailbox to speak or to be gone; ending it is mailbox's part, by SIGKILL, since nothing of a
 * session is left in it. A process may die at any moment: what was sent to it and not read is still in the socket,
 * whose other end mailbox keeps, and the client gets a new process. */
#include "mailbox.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "task.h"

#define SERVED_MAX   100  /* sessions, then the process ends */
#define CHANNELS_MAX 2000 /* with so many sessions no more processes are to wait: each takes two descriptors more */

/* ---- the lists that a process is in, one at a time */

static struct str key_of(const uint8_t nonce[16]) {
    return str_make((const char *)nonce, 16);
}

struct live_session *process_find(const struct mailbox *mailbox, const uint8_t nonce[16]) {
    return map_get(mailbox->live_by_nonce, key_of(nonce));
}

static void session_begins(struct live_session *session) {
    map_put(session->mailbox->live_by_nonce, key_of(session->nonce), session);
    crowd_enter(session->mailbox, session->account.login, session->account.client_address, &session->crowd);
    idle_used(session->mailbox, session->nonce);
}

/* Perhaps its client idles now, and its front has not said so yet. */
static void session_is_over(struct live_session *session) {
    struct mailbox *mailbox = session->mailbox;
    crowd_leave(mailbox, &session->crowd);
    if (process_find(mailbox, session->nonce) != session) return; /* the next one has the client already */
    map_remove(mailbox->live_by_nonce, key_of(session->nonce));
    if (!session->leaving && !session->kicked && str_equal(session->account.protocol, STR("imap")))
        idle_expect(mailbox, session->nonce, session->account.turn, session->unserved, IDLE_NO_SLOT);
}

static void leave_list(struct live_session *session) {
    struct mailbox *mailbox = session->mailbox;
    *session->link = session->next;
    if (session->next) session->next->link = session->link;
    if (session->stage == STAGE_SERVES) mailbox->session_count--;
    if (session->stage == STAGE_SERVES) session_is_over(session);
    at_work_forget(session);
    if (session->stage == STAGE_WAITS) mailbox->waiting_count--;
}

static void enter_list(struct live_session *session, enum session_stage stage) {
    struct mailbox *mailbox = session->mailbox;
    struct live_session **lists[] = {
        [STAGE_SERVES] = &mailbox->sessions, [STAGE_WAITS] = &mailbox->waiting, [STAGE_ENDS] = &mailbox->ending};
    session->stage = stage;
    session->next = *lists[stage];
    session->link = lists[stage];
    if (session->next) session->next->link = &session->next;
    *lists[stage] = session;
    if (stage == STAGE_SERVES) mailbox->session_count++;
    if (stage == STAGE_WAITS) mailbox->waiting_count++;
}

static void close_channel(struct live_session *session) {
    if (session->channel_watch) loop_watch_stop(&session->channel_watch);
    ipc_socket_close(&session->channel);
    ipc_socket_close(&session->far_end);
}

/* It is reaped when it is gone. */
static void end_process(struct live_session *session) {
    leave_list(session);
    enter_list(session, STAGE_ENDS);
    kill(session->process, SIGKILL);
    close_channel(session);
}

/* ---- waiting */

static bool has_unread(const struct live_session *session) {
    char octet;
    return recv(session->far_end.descriptor, &octet, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* Its session is over. One that says so while it waits, or has not even read what it was sent, was taken over. */
static void begin_waiting(struct live_session *session) {
    struct mailbox *mailbox = session->mailbox;
    const struct config *config = mailbox->config;
    bool wanted = config->mailbox_linger_limit > 0 && !session->kicked && session->served < SERVED_MAX &&
                  !service_is_draining(mailbox->service);
    if (!wanted || session->stage != STAGE_SERVES || has_unread(session)) {
        end_process(session);
        return;
    }
    leave_list(session);
    enter_list(session, STAGE_WAITS);
    session->waits_until = deadline_in(config->mailbox_linger_time * 1000);
    if (mailbox->waiting_count <= (size_t)config->mailbox_linger_limit) return;
    struct live_session *oldest = session;
    while (oldest->next)
        oldest = oldest->next;
    end_process(oldest);
}

static void session_speaks(int descriptor, void *argument) {
    struct live_session *session = argument;
    struct ipc_packet packet = {.descriptor = -1};
    (void)descriptor;
    enum ipc_transfer transfer = ipc_socket_receive(&session->channel, &packet);
    if (transfer == IPC_TRANSFER_AGAIN) return;
    if (packet.descriptor >= 0) close(packet.descriptor);
    if (transfer == IPC_TRANSFER_DONE && packet.type == IPC_SESSION_FREE)
        begin_waiting(session);
    else
        end_process(session);
}

void process_end_waiting(struct mailbox *mailbox, struct str login) {
    for (struct live_session *session = mailbox->waiting, *next; session; session = next) {
        next = session->next;
        if (login.length == 0 || str_equal(login, session->account.login)) end_process(session);
    }
}

void process_expire(struct mailbox *mailbox) {
    for (struct live_session *session = mailbox->waiting, *next; session; session = next) {
        next = session->next;
        if (deadline_left(session->waits_until) == 0) end_process(session);
    }
}

/* ---- another session for a process that waits */

/* All that a process has in it since it was made. */
static bool is_same_account(const struct account *one, const struct account *other) {
    return one->uid == other->uid && one->gid == other->gid && str_equal(one->login, other->login) &&
           str_equal(one->protocol, other->protocol) && str_equal(one->root, other->root) &&
           str_equal(one->cache, other->cache);
}

static bool send_next(struct live_session *session, const struct account *account, const uint8_t nonce[16], int control,
                      struct str state) {
    uint8_t key[32];
    struct buf text = buf_make(0);
    account_pack(account, &text);
    session_seal_key(session->mailbox->seal_master, account->login, nonce, buf_str(&text), key);
    struct ipc_session_next next = {.nonce = str_make((const char *)nonce, 16),
                                    .seal = str_make((const char *)key, sizeof key),
                                    .client_address = account->client_address,
                                    .quota_storage = account->quota_storage,
                                    .quota_messages = account->quota_messages,
                                    .account = buf_str(&text),
                                    .state = state};
    /* There is room, since it has read everything; a deadline that has passed would wait for none. */
    bool sent =
        ipc_socket_send(&session->channel, IPC_SESSION_NEXT, 0, &next, control, deadline_in(0)) == IPC_TRANSFER_DONE;
    memory_wipe(key, sizeof key);
    buf_free(&text);
    return sent;
}

static void take_over(struct live_session *session, struct account **account, const uint8_t nonce[16]) {
    arena_destroy(&session->account.arena);
    session->account = **account;
    MEMORY_FREE(*account);
    memcpy(session->nonce, nonce, sizeof session->nonce);
    session->leaving = false;
    session->served++;
}

static bool go_on(struct mailbox *mailbox, struct account **account, const uint8_t nonce[16], int control,
                  struct str state) {
    for (struct live_session *session = mailbox->waiting, *next; session; session = next) {
        next = session->next;
        if (!is_same_account(&session->account, *account)) continue;
        if (send_next(session, *account, nonce, control, state)) {
            leave_list(session);
            enter_list(session, STAGE_SERVES);
            take_over(session, account, nonce);
            at_work_note(session);
            session_begins(session);
            return true;
        }
        end_process(session);
    }
    return false;
}

/* ---- the end of a process */

/* What it was sent and has not read: for another process. */
static void pass_on_unread(struct live_session *session) {
    struct ipc_packet packet = {.descriptor = -1};
    struct failure failure = {0};
    if (session->stage != STAGE_SERVES || session->kicked || session->far_end.descriptor < 0 ||
        ipc_socket_receive(&session->far_end, &packet) != IPC_TRANSFER_DONE)
        return;
    struct arena *arena = arena_create(0);
    const struct ipc_session_next *next = packet.type == IPC_SESSION_NEXT ? ipc_packet_decode(&packet, arena) : NULL;
    if (next) {
        struct account *account = MEMORY_NEW(struct account);
        *account = session->account;
        session->account = (struct account){.arena = NULL};
        if (!process_begin(session->mailbox, &account, session->nonce, packet.descriptor, next->state, &failure)) {
            log_warning("cannot fork a session for %.*s: %s", STR_ARGS(account->login), failure.text);
            account_free(&account);
        }
    }
    if (packet.descriptor >= 0) close(packet.descriptor);
    arena_destroy(&arena);
}

static void process_ended(int descriptor, void *argument) {
    struct live_session *session = argument;
    int status = 0;
    (void)descriptor;
    bool reaped = waitpid(session->process, &status, WNOHANG) == session->process;
    bool killed = reaped && WIFSIGNALED(status);
    session->unserved = !reaped || (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNSERVED);
    if (killed && session->stage != STAGE_ENDS)
        log_warning("session of %.*s (process %d) was killed by signal %d", STR_ARGS(session->account.login),
                    (int)session->process, WTERMSIG(status));
    loop_watch_stop(&session->watch);
    close(session->watched);
    leave_list(session);
    pass_on_unread(session);
    close_channel(session);
    arena_destroy(&session->account.arena);
    MEMORY_FREE(session);
}

/* ---- a new process */

static void note_process(struct mailbox *mailbox, struct account **account, const uint8_t nonce[16], pid_t process,
                         const int pair[2]) {
    struct live_session *session = MEMORY_NEW(struct live_session);
    session->mailbox = mailbox;
    session->account = **account; /* takes its arena over */
    MEMORY_FREE(*account);
    session->process = process;
    session->served = 1;
    session->slot = -1;
    memcpy(session->nonce, nonce, sizeof session->nonce);
    session->channel.descriptor = session->far_end.descriptor = -1;
    session->watched = (int)syscall(SYS_pidfd_open, process, 0);
    session->watch = session->watched >= 0 ? loop_watch_readable(session->watched, process_ended, session) : NULL;
    enter_list(session, STAGE_SERVES);
    at_work_note(session);
    session_begins(session);
    if (pair[0] < 0) return;
    if (!session->watch) { /* nobody would notice that it is gone */
        close(pair[0]);
        close(pair[1]);
        return;
    }
    ipc_socket_open(&session->channel, pair[0]);
    ipc_socket_open(&session->far_end, pair[1]);
    session->channel_watch = loop_watch_readable(pair[0], session_speaks, session);
}

void process_adopt(struct mailbox *mailbox, struct account **account, const uint8_t nonce[16], pid_t process) {
    static const int none[2] = {-1, -1};
    note_process(mailbox, account, nonce, process, none);
    struct live_session *session = mailbox->sessions;
    if (session->watch) return;
    session->unserved = true;
    leave_list(session); /* it has just ended */
    if (session->watched >= 0) close(session->watched);
    arena_destroy(&session->account.arena);
    MEMORY_FREE(session);
}

/* The pair by which it gets another session; both -1: it will not. */
static void make_pair(const struct mailbox *mailbox, int pair[2]) {
    const struct config *config = mailbox->config;
    bool wanted = config->mailbox_linger_limit > 0 && config->mailbox_linger_time > 0 &&
                  mailbox->session_count < CHANNELS_MAX && !service_is_draining(mailbox->service);
    if (!wanted || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) pair[0] = pair[1] = -1;
}

bool process_begin(struct mailbox *mailbox, struct account **account, const uint8_t nonce[16], int control,
                   struct str state, struct failure *failure) {
    int pair[2];
    if (go_on(mailbox, account, nonce, control, state)) return true;
    make_pair(mailbox, pair);
    pid_t child = fork();
    if (child == 0) session_process(mailbox, *account, nonce, control, pair[1], state);
    if (child < 0) {
        failure_set_errno(failure, errno, "fork");
        if (pair[0] >= 0) close(pair[0]);
        if (pair[1] >= 0) close(pair[1]);
        return false;
    }
    note_process(mailbox, account, nonce, child, pair);
    return true;
}
