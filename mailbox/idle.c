/* Clients that idle have no process: their fronts tell of them, so that operators see them and can end them, and
 * mail_max_userip_connections counts them. What a front says is believed if a session has sealed it. */
#include "mailbox.h"

#define IDLE_MAX 200000

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

struct idle_session *idle_find(const struct mailbox *mailbox, const uint8_t nonce[16]) {
    return map_get(mailbox->idle_by_nonce, key_of(nonce));
}

void idle_end(struct mailbox *mailbox, struct idle_session **session) {
    struct idle_session *gone = *session;
    map_remove(mailbox->idle_by_nonce, key_of(gone->nonce));
    *gone->link = gone->next;
    if (gone->next) gone->next->link = gone->link;
    MEMORY_FREE(gone->texts);
    MEMORY_FREE(*session);
}

static void front_lost(void *state) {
    struct front_state *front = state;
    for (struct idle_session *session = front->mailbox->idle, *next; session; session = next) {
        next = session->next;
        if (session->front == front->peer) idle_end(front->mailbox, &session);
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
    struct idle_session *before = idle_find(mailbox, nonce);
    if (before) idle_end(mailbox, &before);
    if (map_count(mailbox->idle_by_nonce) >= IDLE_MAX) return;
    struct idle_session *session = MEMORY_NEW(struct idle_session);
    keep_texts(session, account);
    memcpy(session->nonce, nonce, sizeof session->nonce);
    session->front = request->peer;
    session->begun = account->begun;
    session->next = mailbox->idle;
    session->link = &mailbox->idle;
    if (session->next) session->next->link = &session->next;
    mailbox->idle = session;
    map_put(mailbox->idle_by_nonce, key_of(session->nonce), session);
    watch_front(request, mailbox);
}

void idle_gone(struct ipc_request *request, struct mailbox *mailbox) {
    const struct ipc_session_gone *message = request->message;
    if (message->session.length != 16) return;
    struct idle_session *session = map_get(mailbox->idle_by_nonce, message->session);
    if (session && session->front == request->peer) idle_end(mailbox, &session);
}

static struct idle_session *find_unkicked(const struct mailbox *mailbox, struct str login, struct str session_name) {
    char number[40];
    for (struct idle_session *session = mailbox->idle; session; session = session->next) {
        if (session->kicked || (login.length > 0 && !str_equal(login, session->login))) continue;
        session_number(session->nonce, number);
        if (session_name.length == 0 || str_equal(session_name, str_from(number))) return session;
    }
    return NULL;
}

/* Telling may suspend, and the list change: from its start again after each. */
uint64_t idle_kick(struct mailbox *mailbox, struct str login, struct str session_name) {
    struct idle_session *session;
    uint64_t count = 0;
    while ((session = find_unkicked(mailbox, login, session_name))) {
        struct ipc_peer *front = session->front;
        uint8_t nonce[16];
        memcpy(nonce, session->nonce, sizeof nonce);
        struct ipc_session_end end = {.session = key_of(nonce)};
        session->kicked = true;
        count++;
        ipc_peer_hold(front);
        (void)ipc_notify(front, IPC_SESSION_END, &end);
        ipc_peer_unhold(front);
    }
    return count;
}
