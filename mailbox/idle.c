/* Clients that idle have no process: their fronts tell of them, so that operators see them and can end them, and
 * mail_max_userip_connections counts them. What a front says is believed if a session has sealed it, and if that state
 * is still good: each is sealed in its turn, and opened once, and not any more when its client is gone or was ended.
 * So a front that was taken over can do nothing with what it, or another one, has kept of sessions that are over.
 *
 * A session that is over may have left its client idling: its state is expected for a while. So are those of a front
 * whose connection has ended, and those that a predecessor has known; a front that lives tells of them again. */
#include "mailbox.h"

#define IDLE_MAX      200000
#define EXPECTED_MAX  200000
#define EXPECTED_TIME 60000 /* ms; longer than a front needs to say again who idles there */

/* A front: when its connection ends nobody idles there, or says so again. */
struct front_state {
    struct mailbox *mailbox;
    struct ipc_peer *peer;
};

void session_number(const uint8_t nonce[16], char text[40]) {
    for (int i = 0; i < 8; i++)
        snprintf(text + 2 * i, 3, "%02x", nonce[i]);
}

static struct str key_of(const uint8_t nonce[16]) {
    return str_make((const char *)nonce, 16);
}

static struct idle_session *find(const struct mailbox *mailbox, const uint8_t nonce[16]) {
    return map_get(mailbox->idle_by_nonce, key_of(nonce));
}

/* ---- the two lists */

static void enter(struct mailbox *mailbox, struct idle_session *session) {
    session->next = session->front ? mailbox->idle : NULL;
    session->link = session->front ? &mailbox->idle : mailbox->expected_end;
    if (session->next) session->next->link = &session->next;
    *session->link = session;
    if (session->front) return;
    mailbox->expected_end = &session->next;
    mailbox->expected_count++;
}

static void leave(struct mailbox *mailbox, struct idle_session *session) {
    *session->link = session->next;
    if (session->next) session->next->link = session->link;
    crowd_leave(mailbox, &session->crowd);
    if (session->front) return;
    if (!session->next) mailbox->expected_end = session->link;
    mailbox->expected_count--;
}

static void end(struct mailbox *mailbox, struct idle_session **session) {
    struct idle_session *gone = *session;
    idle_file_remove(mailbox, &gone->slot);
    map_remove(mailbox->idle_by_nonce, key_of(gone->nonce));
    leave(mailbox, gone);
    MEMORY_FREE(gone->texts);
    MEMORY_FREE(*session);
}

static struct idle_session *add(struct mailbox *mailbox, const uint8_t nonce[16], uint32_t turn, struct ipc_peer *front,
                                uint32_t slot) {
    struct idle_session *session = MEMORY_NEW(struct idle_session);
    memcpy(session->nonce, nonce, sizeof session->nonce);
    session->turn = turn;
    session->front = front;
    session->until = deadline_in(EXPECTED_TIME);
    session->slot = slot == IDLE_NO_SLOT ? idle_file_add(mailbox, nonce, turn) : slot;
    enter(mailbox, session);
    map_put(mailbox->idle_by_nonce, key_of(session->nonce), session);
    return session;
}

/* ---- which states are good */

/* Nobody knows of those that a predecessor knows, until it has given its sessions. */
bool idle_is_good(const struct mailbox *mailbox, const uint8_t nonce[16], uint32_t turn) {
    const struct idle_session *session = find(mailbox, nonce);
    const struct live_session *live = process_find(mailbox, nonce);
    if (session)
        return !session->kicked && (session->turn == turn || (session->or_before && session->turn == turn + 1));
    if (live) return !live->kicked && live->account.turn == turn; /* its client has been quicker than its end */
    return !mailbox->idle_file;
}

void idle_used(struct mailbox *mailbox, const uint8_t nonce[16]) {
    struct idle_session *session = find(mailbox, nonce);
    if (session) end(mailbox, &session);
}

void idle_expect(struct mailbox *mailbox, const uint8_t nonce[16], uint32_t turn, bool or_before, uint32_t slot) {
    if (find(mailbox, nonce) || process_find(mailbox, nonce)) {
        idle_file_remove(mailbox, &slot);
        return;
    }
    struct idle_session *oldest = mailbox->expected;
    if (mailbox->expected_count >= EXPECTED_MAX) end(mailbox, &oldest);
    add(mailbox, nonce, turn, NULL, slot)->or_before = or_before;
}

void idle_expire(struct mailbox *mailbox) {
    struct idle_session *session;
    while ((session = mailbox->expected) && deadline_left(session->until) == 0)
        end(mailbox, &session);
}

/* ---- what fronts say */

/* Perhaps only the connection is lost. */
static void front_lost(void *state) {
    struct front_state *front = state;
    for (struct idle_session *session = front->mailbox->idle, *next; session; session = next) {
        next = session->next;
        if (session->front != front->peer) continue;
        if (session->kicked) {
            end(front->mailbox, &session);
            continue;
        }
        leave(front->mailbox, session);
        MEMORY_FREE(session->texts);
        session->front = NULL;
        session->until = deadline_in(EXPECTED_TIME);
        enter(front->mailbox, session);
    }
    MEMORY_FREE(front);
}

static void watch_front(struct ipc_request *request, struct mailbox *mailbox) {
    if (ipc_peer_state(request->peer)) return;
    struct front_state *front = MEMORY_NEW(struct front_state);
    *front = (struct front_state){mailbox, request->peer};
    ipc_peer_set_state(request->peer, front, front_lost);
}

/* One block for the three texts: there may be very many. */
static void keep_texts(struct idle_session *session, const struct account *account) {
    const struct str texts[] = {account->login, account->protocol, account->client_address};
    struct str *const kept[] = {&session->login, &session->protocol, &session->client_address};
    size_t at = 0;
    session->texts =
        memory_allocate(1, account->login.length + account->protocol.length + account->client_address.length + 1);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (texts[i].length) memcpy(session->texts + at, texts[i].data, texts[i].length);
        *kept[i] = str_make(session->texts + at, texts[i].length);
        at += texts[i].length;
    }
}

void idle_begin(struct ipc_request *request, struct mailbox *mailbox, const struct account *account,
                const uint8_t nonce[16]) {
    struct idle_session *before = find(mailbox, nonce);
    uint32_t slot = IDLE_NO_SLOT;
    if (before && before->turn == account->turn) { /* the row stays as it is */
        slot = before->slot;
        before->slot = IDLE_NO_SLOT;
    }
    if (before) end(mailbox, &before);
    if (map_count(mailbox->idle_by_nonce) - mailbox->expected_count >= IDLE_MAX) {
        idle_file_remove(mailbox, &slot);
        return;
    }
    struct idle_session *session = add(mailbox, nonce, account->turn, request->peer, slot);
    keep_texts(session, account);
    crowd_enter(mailbox, account->login, account->client_address, &session->crowd);
    session->begun = account->begun;
    watch_front(request, mailbox);
}

void idle_gone(struct ipc_request *request, struct mailbox *mailbox) {
    const struct ipc_session_gone *message = request->message;
    if (message->session.length != 16) return;
    struct idle_session *session = map_get(mailbox->idle_by_nonce, message->session);
    if (session && session->front == request->peer) end(mailbox, &session);
}

static bool is_meant(const struct idle_session *session, struct str login, struct str session_name) {
    char number[40];
    if (session->kicked || (login.length > 0 && !str_equal(login, session->login))) return false;
    session_number(session->nonce, number);
    return session_name.length == 0 || str_equal(session_name, str_from(number));
}

static void kick(struct mailbox *mailbox, struct idle_session *session) {
    struct ipc_peer *front = session->front;
    uint8_t nonce[16];
    memcpy(nonce, session->nonce, sizeof nonce);
    struct ipc_session_end message = {.session = key_of(nonce)};
    session->kicked = true;
    idle_file_remove(mailbox, &session->slot);
    ipc_peer_hold(front);
    (void)ipc_notify(front, IPC_SESSION_END, &message);
    ipc_peer_unhold(front);
}

/* Telling may suspend, and the list change: who is meant is looked up first, and each once more when its turn comes. */
uint64_t idle_kick(struct mailbox *mailbox, struct str login, struct str session_name) {
    struct buf nonces = buf_make(0);
    uint64_t count = 0;
    for (struct idle_session *session = mailbox->idle; session; session = session->next)
        if (is_meant(session, login, session_name)) buf_append(&nonces, key_of(session->nonce));
    for (size_t at = 0; at < nonces.length; at += 16) {
        struct idle_session *session = find(mailbox, (const uint8_t *)nonces.data + at);
        if (!session || !session->front || session->kicked) continue;
        kick(mailbox, session);
        count++;
    }
    buf_free(&nonces);
    return count;
}
