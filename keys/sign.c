/* KEYS_SIGN: what is signed, for whom, and how much of it.
 *
 * A key signs what its side of a TLS handshake has signed and nothing else
 * (tls_signed.h). Whoever has taken over a process that asks can still have
 * handshakes signed that this process does not see, and so be the server for as long
 * as the process is its own; it cannot have a certificate, a request for one or a
 * document signed, and has nothing left when it is put out. */
#include "keys_daemon.h"
#include "log.h"
#include "tls_signed.h"

enum { REFUSALS_MOST = 1000 }; /* of one connection: then it is no process of ours that asks */

static const struct held_key *find_key(const struct keys *keys, struct str name) {
    const struct held_key *key = key_store_key(keys->store, name);
    for (size_t i = 0; !key && i < keys->retired_count; i++)
        if (str_equal(name, str_make((const char *)keys->retired[i].name, TLS_KEY_NAME_SIZE)))
            key = &keys->retired[i].key;
    return key;
}

/* The first few, and then ever fewer. */
static void log_refusal(struct peer *peer, const char *reason) {
    uint64_t count = ++peer->refused_count;
    if (count > 3 && (count & (count - 1)) != 0) return;
    log_warning("refused to sign for the service \"%.*s\": %s (%llu refused on this connection, %llu signed)",
                STR_ARGS(ipc_peer_service(peer->connection)), reason, (unsigned long long)count,
                (unsigned long long)peer->signed_count);
}

static void refuse(struct ipc_request *request, struct peer *peer, const char *reason) {
    log_refusal(peer, reason);
    ipc_answer_failed(request, 550, "5.7.0", "%s", reason);
}

static const char *reason_against(const struct held_key *key, const struct ipc_keys_sign *question) {
    if (!key) return "there is no such key";
    switch (tls_signed_content(question->content)) {
    case TLS_SIGNED_BY_SERVER:
        return key->server ? NULL : "the key is none of a server's";
    case TLS_SIGNED_BY_CLIENT:
        return key->client ? NULL : "the key is none of a client's";
    case TLS_SIGNED_BY_NOBODY:
        break;
    }
    return "no TLS handshake has such content signed";
}

/* Waits until the connection may have one more signature; requests behind it wait in the socket. */
static bool wait_for_allowance(const struct keys *keys, struct peer *peer) {
    const double rate = (double)keys->config->tls_signature_rate_limit;
    if (rate <= 0) return true;
    for (;;) {
        deadline now = clock_monotonic();
        peer->allowance += (double)(now - peer->counted) * rate / 1000;
        if (peer->allowance > rate) peer->allowance = rate;
        peer->counted = now;
        if (peer->allowance >= 1) break;
        if (task_sleep(1 + (int64_t)(1000 / rate)) == WAIT_CANCELLED) return false;
    }
    peer->allowance -= 1;
    return true;
}

/* One signature. RSA is made by a helper thread: it takes 0.4 ms (2,048 bits) to 3 ms (4,096), during which nobody
 * else would be heard, and one processor would bound all handshakes; ECDSA and EdDSA take 0.03 ms, less than handing
 * them to a thread and back. */
struct work {
    EVP_PKEY *key;
    const struct ipc_keys_sign *question;
    struct buf signature;
    struct failure failure;
    bool good;
};

static void do_sign(void *argument) {
    struct work *work = argument;
    work->good = tls_key_sign(work->key, (uint16_t)work->question->scheme, work->question->content, &work->signature,
                              &work->failure);
}

void keys_sign(struct keys *keys, struct ipc_request *request, struct peer *peer) {
    const struct ipc_keys_sign *question = request->message;
    if (peer->refused_count >= REFUSALS_MOST || !wait_for_allowance(keys, peer)) {
        ipc_answer_failed(request, 451, "4.3.0", "not now");
        return;
    }
    /* Found after the wait: a store may have gone meanwhile. */
    const struct held_key *key = find_key(keys, question->key);
    const char *reason = reason_against(key, question);
    if (reason) {
        refuse(request, peer, reason);
        return;
    }
    struct work work = {.key = key->key, .question = question, .signature = buf_make(1024)};
    EVP_PKEY_up_ref(work.key); /* its store may go while a thread works */
    if (EVP_PKEY_is_a(work.key, "RSA") || EVP_PKEY_is_a(work.key, "RSA-PSS"))
        task_run_blocking(do_sign, &work);
    else
        do_sign(&work);
    EVP_PKEY_free(work.key);
    if (work.good) {
        peer->signed_count++;
        struct ipc_keys_signed answer = {.signature = buf_str(&work.signature)};
        ipc_answer(request, IPC_KEYS_SIGNED, &answer, -1);
    } else {
        refuse(request, peer, work.failure.text);
    }
    buf_free(&work.signature);
}
