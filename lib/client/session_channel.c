/* The session's side of session_channel.h, and the seal. */
#include "session_channel.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include "ipc_socket.h"

#define ATTACH_TIME 60000 /* ms that the front has to bring its client */
#define SEND_TIME   60000
#define MAC_SIZE    32
#define NONCE_SIZE  16

struct session_channel {
    struct ipc_socket socket;
};

/* ---- the seal: length of login (1), login, nonce (16), MAC (32), state */

void session_seal_key(const uint8_t master[32], struct str login, const uint8_t nonce[16], struct str account,
                      uint8_t key[32]) {
    struct buf text = buf_make(0);
    unsigned length = 32;
    buf_append_bytes(&text, nonce, NONCE_SIZE);
    buf_append_char(&text, (char)login.length); /* nothing moves from the one to the other */
    buf_append(&text, login);
    buf_append(&text, account);
    HMAC(EVP_sha256(), master, 32, (const unsigned char *)text.data, text.length, key, &length);
    buf_free(&text);
}

static void make_mac(const uint8_t key[32], struct str state, uint8_t mac[MAC_SIZE]) {
    unsigned length = MAC_SIZE;
    HMAC(EVP_sha256(), key, 32, (const unsigned char *)state.data, state.length, mac, &length);
}

void session_seal(const struct session_settings *settings, struct str state, struct buf *sealed) {
    uint8_t mac[MAC_SIZE];
    make_mac(settings->seal, state, mac);
    buf_append_char(sealed, (char)settings->login.length);
    buf_append(sealed, settings->login);
    buf_append_bytes(sealed, settings->nonce, NONCE_SIZE);
    buf_append_bytes(sealed, mac, MAC_SIZE);
    buf_append(sealed, state);
}

struct str session_state_number(struct str sealed) {
    size_t length = sealed.length ? (unsigned char)sealed.data[0] : 0;
    return sealed.length < 1 + length + NONCE_SIZE + MAC_SIZE ? STR_EMPTY
                                                              : str_slice(sealed, 1 + length, 1 + length + NONCE_SIZE);
}

/* What mailbox has written before the session's own state. */
static bool find_account(struct str state, struct str *account) {
    size_t lines = 0, length = 0;
    while (lines < SESSION_ACCOUNT_LINES && length < state.length)
        lines += state.data[length++] == '\n';
    *account = str_slice(state, 0, length);
    return lines == SESSION_ACCOUNT_LINES;
}

bool session_unseal(const uint8_t master[32], struct str sealed, struct str *login, uint8_t nonce[16],
                    struct str *state) {
    if (sealed.length < 1) return false;
    size_t length = (unsigned char)sealed.data[0];
    if (sealed.length < 1 + length + NONCE_SIZE + MAC_SIZE) return false;
    struct str name = str_slice(sealed, 1, 1 + length);
    struct str rest = str_from_offset(sealed, 1 + length);
    uint8_t found[NONCE_SIZE], key[32], mac[MAC_SIZE];
    memcpy(found, rest.data, NONCE_SIZE);
    struct str inner = str_from_offset(rest, NONCE_SIZE + MAC_SIZE);
    struct str account;
    if (!find_account(inner, &account)) return false;
    session_seal_key(master, name, found, account, key);
    make_mac(key, inner, mac);
    bool good = memory_equal_secret(mac, rest.data + NONCE_SIZE, MAC_SIZE);
    memory_wipe(key, sizeof key);
    if (!good) return false;
    *login = name;
    memcpy(nonce, found, NONCE_SIZE);
    *state = inner;
    return true;
}

/* ---- the channel */

static bool receive(struct session_channel *channel, struct ipc_packet *packet) {
    deadline until = deadline_in(ATTACH_TIME);
    for (;;) {
        switch (ipc_socket_receive(&channel->socket, packet)) {
        case IPC_TRANSFER_DONE:
            return true;
        case IPC_TRANSFER_AGAIN:
            if (task_wait_readable(channel->socket.descriptor, until) != WAIT_READY) return false;
            break;
        case IPC_TRANSFER_CLOSED:
        case IPC_TRANSFER_BROKEN:
        case IPC_TRANSFER_TIMEOUT:
        case IPC_TRANSFER_CANCELLED:
        case IPC_TRANSFER_INVALID:
            return false;
        }
    }
}

struct session_channel *session_channel_accept(int descriptor, struct str state, struct arena *arena,
                                               struct session_attachment *attachment, struct failure *failure) {
    struct session_channel *channel = MEMORY_NEW(struct session_channel);
    struct ipc_packet packet = {.descriptor = -1};
    int inotify = -1;
    ipc_socket_open(&channel->socket, descriptor);
    const struct ipc_session_attach *attach = NULL;
    bool received = receive(channel, &packet);
    if (received && packet.type == IPC_SESSION_WATCHED) {
        inotify = packet.descriptor;
        packet.descriptor = -1;
        received = receive(channel, &packet);
    }
    if (received && packet.type == IPC_SESSION_ATTACH && packet.descriptor >= 0)
        attach = ipc_packet_decode(&packet, arena);
    if (!attach) {
        if (packet.descriptor >= 0) close(packet.descriptor);
        if (inotify >= 0) close(inotify);
        failure_set(failure, "the front brought no client");
        session_channel_free(&channel);
        return NULL;
    }
    *attachment = (struct session_attachment){.connection = packet.descriptor,
                                              .inotify = inotify,
                                              .reason = (enum session_wake)attach->reason,
                                              .encrypted = attach->encrypted,
                                              .tag = attach->tag,
                                              .input = attach->input,
                                              .state = state};
    return channel;
}

bool session_channel_idle(struct session_channel *channel, const struct session_settings *settings, struct str state,
                          struct str unused_input, int inotify, struct str watches, bool unwatched) {
    struct buf sealed = buf_make(0);
    session_seal(settings, state, &sealed);
    struct ipc_session_idle idle = {
        .state = buf_str(&sealed), .input = unused_input, .unwatched = unwatched, .watches = watches};
    bool good = ipc_socket_send(&channel->socket, IPC_SESSION_IDLE, 0, &idle, inotify, deadline_in(SEND_TIME)) ==
                IPC_TRANSFER_DONE;
    buf_free(&sealed);
    return good;
}

void session_channel_end(struct session_channel *channel, struct str reason, uint64_t bytes_in, uint64_t bytes_out) {
    struct ipc_session_ended ended = {.reason = reason, .bytes_in = bytes_in, .bytes_out = bytes_out};
    if (ipc_socket_send(&channel->socket, IPC_SESSION_ENDED, 0, &ended, -1, deadline_in(SEND_TIME)) !=
        IPC_TRANSFER_DONE)
        return; /* the front is gone, and with it whoever wanted to know */
}

void session_channel_free(struct session_channel **channel) {
    if (!*channel) return;
    ipc_socket_close(&(*channel)->socket);
    MEMORY_FREE(*channel);
}
