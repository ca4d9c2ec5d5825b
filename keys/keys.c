/* keys: holds the private keys of TLS and signs with them.
 *
 *   KEYS_CHAINS         here: the certificates of a server name, or of the client
 *   KEYS_SIGN           sign.c: what a handshake has signed, and nothing else
 *   KEYS_TICKETS        here: the keys of session tickets; tickets.c when they are replaced
 *   KEYS_TICKETS_GIVEN  here: from the process before, which leaves
 *   KEYS_CHANGED        said to every caller when certificates or keys have changed
 *
 *   reader.c    the helper that may read the files, and sends them when they change
 *   material.c  which files, and their bytes; key_store.c what is made of them
 *
 * A renewed key takes its place while the old one goes on signing for handshakes
 * that began with it. Files that are of no use change nothing but the log. It runs as
 * tern-keys in an empty root and understands no stranger's bytes: what it is asked to
 * sign it only looks at. Its memory is neither dumped nor, where that is permitted,
 * swapped. */
#include "keys_daemon.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "memory.h"
#include "reader.h"

enum {
    REQUESTS_AT_ONCE = 8,        /* of a connection: the others' come between */
    RETIRED_MS = 10 * 60 * 1000, /* no handshake takes longer */
    LEAVE_GRACE_MS = 10 * 1000,  /* for handshakes under way when this process leaves */
    LEAVE_LOOK_MS = 50,
    TELL_PATIENCE_MS = 5000,
    YOUNG_MS = 5000, /* while the process before may still hand over its ticket keys */
    YOUNG_GOOD_FOR = 2,
    WARN_PAUSE = 86400,
    SECURE_LEAST = 1 << 20, /* bytes of memory for private keys */
};

#define SECURE_MOST ((size_t)256 << 20)

static int64_t now_seconds(void) {
    return clock_date() / CLOCK_SECOND;
}

/* ---- callers, and telling them */

static void sleep_briefly(void *argument) {
    (void)argument;
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* The connection lives until this returns: whoever is telling it something ends first. */
static void peer_destroy(void *state) {
    struct peer *peer = state;
    *peer->previous = peer->next;
    if (peer->next) peer->next->previous = peer->previous;
    while (peer->being_told)
        if (task_sleep(2) == WAIT_CANCELLED) task_run_blocking(sleep_briefly, NULL);
    MEMORY_FREE(peer);
}

/* Held while it may be in the middle of a handshake: from its first question until this process has to go. */
static struct peer *peer_of(struct ipc_request *request, struct keys *keys) {
    struct peer *peer = ipc_peer_state(request->peer);
    if (peer) return peer;
    peer = MEMORY_NEW(struct peer);
    *peer = (struct peer){.keys = keys, .connection = request->peer, .counted = clock_monotonic()};
    peer->next = keys->peers;
    peer->previous = &keys->peers;
    if (peer->next) peer->next->previous = &peer->next;
    keys->peers = peer;
    ipc_peer_set_state(request->peer, peer, peer_destroy);
    if (!service_is_draining(keys->service)) {
        peer->held = true;
        ipc_peer_hold(peer->connection);
    }
    return peer;
}

static void tell_peer(void *argument) {
    struct peer *peer = argument;
    do {
        peer->told_late = false;
        if (!ipc_notify(peer->connection, IPC_KEYS_CHANGED, &(struct ipc_keys_changed){})) break;
    } while (peer->told_late);
    peer->being_told = false;
}

static void tell_all(struct keys *keys) {
    for (struct peer *peer = keys->peers; peer; peer = peer->next) {
        peer->told_late = true;
        if (peer->being_told) continue;
        peer->being_told = task_start("tell", tell_peer, peer);
        if (!peer->being_told) log_warning("no stack to tell a process that certificates have changed");
    }
}

/* ---- stores */

static void log_lines(struct str lines) {
    struct str line;
    while (str_next_word(&lines, "\n", &line))
        log_warning("%.*s", STR_ARGS(line));
}

static void drop_retired(struct keys *keys, size_t count) {
    for (size_t i = 0; i < count; i++)
        EVP_PKEY_free(keys->retired[i].key.key);
    keys->retired_count -= count;
    memmove(keys->retired, keys->retired + count, keys->retired_count * sizeof *keys->retired);
}

/* What the files have no more goes on signing for handshakes that began with it. */
static void retire_keys(struct keys *keys, const struct key_store *earlier) {
    size_t cursor = 0;
    struct str name;
    void *value;
    while (map_next(earlier->keys, &cursor, &name, &value)) {
        const struct held_key *key = value;
        if (key_store_key(keys->store, name)) continue;
        if (keys->retired_count == RETIRED_MOST) drop_retired(keys, 1);
        struct retired *retired = &keys->retired[keys->retired_count++];
        *retired = (struct retired){.key = *key, .until = deadline_in(RETIRED_MS)};
        memcpy(retired->name, name.data, sizeof retired->name);
        EVP_PKEY_up_ref(retired->key.key);
    }
}

static void take_material(struct keys *keys, struct str material) {
    struct key_store *earlier = keys->store;
    struct key_store *made =
        key_store_create(keys->config, material, earlier, now_seconds(), earlier ? task_yield : NULL);
    keys->store = made;
    keys->warned = now_seconds();
    log_lines(buf_str(&keys->store->errors));
    log_lines(buf_str(&keys->store->warnings));
    if (!earlier) return;
    retire_keys(keys, earlier);
    key_store_destroy(&earlier);
    log_info("certificates or keys have changed: %zu keys are held", map_count(keys->store->keys));
    tell_all(keys);
}

/* Each state of the files, as the helper sends it. */
static void follow_files(void *argument) {
    struct keys *keys = argument;
    struct failure failure = {0};
    for (bool good = true; good;) {
        struct buf material = {0};
        good = reader_receive(keys->reader, &material, &failure);
        if (good) take_material(keys, buf_str(&material));
        buf_free_secret(&material);
    }
    if (!service_is_draining(keys->service))
        log_warning("renewed certificates will not be noticed before a reload: %s", failure.text);
}

/* ---- requests */

static bool add_chain(const struct key_set *set, size_t index, struct buf *rows, uint32_t *count) {
    const struct tls_identity *identity = &set->identities.items[index];
    struct ipc_certificate_chain row = {.pem = buf_str(&identity->pem),
                                        .key = str_make((const char *)identity->name, sizeof identity->name),
                                        .staple = buf_str(&set->staples[index])};
    return ipc_list_add(IPC_ROW_CERTIFICATE_CHAIN, &row, rows, count);
}

static void give_chains(struct keys *keys, struct ipc_request *request) {
    const struct ipc_keys_chains *question = request->message;
    const struct key_set *set = key_store_find(keys->store, (unsigned)question->side, question->server_name);
    struct buf rows = buf_make(150000);
    uint32_t count = 0;
    bool good = !set || !set->broken;
    for (size_t i = 0; good && set && i < set->identities.count; i++)
        good = add_chain(set, i, &rows, &count);
    if (good) {
        struct ipc_keys_chains_given answer = {.chains = {buf_str(&rows), count}};
        ipc_answer(request, IPC_KEYS_CHAINS_GIVEN, &answer, -1);
    } else {
        ipc_answer_failed(request, 454, "4.7.0", "%s: the certificates cannot be used; the log says why", set->title);
    }
    buf_free(&rows);
}

static bool random_bytes(void *bytes, size_t size) {
    return RAND_priv_bytes(bytes, (int)size) == 1;
}

/* All keys as rows; the buffer is a secret. */
static struct ipc_keys_tickets_given ticket_rows(const struct keys *keys, struct buf *rows) {
    struct ipc_keys_tickets_given answer = {.good_for = (uint64_t)tickets_good_for(&keys->tickets, now_seconds())};
    for (size_t i = 0; i < keys->tickets.count; i++) {
        const struct ticket_key_pair *key = &keys->tickets.keys[i];
        struct ipc_ticket_key row = {.name = str_make((const char *)key->name, sizeof key->name),
                                     .secret = str_make((const char *)key->secret, sizeof key->secret)};
        if (!ipc_list_add(IPC_ROW_TICKET_KEY, &row, rows, &answer.keys.count)) break;
    }
    answer.keys.packed = buf_str(rows);
    return answer;
}

static void give_tickets(struct keys *keys, struct ipc_request *request) {
    struct buf rows = buf_make(1024);
    if (!tickets_renew(&keys->tickets, now_seconds(), random_bytes)) {
        ipc_answer_failed(request, 451, "4.3.0", "no random numbers");
        return;
    }
    struct ipc_keys_tickets_given answer = ticket_rows(keys, &rows);
    if (deadline_left(keys->started + YOUNG_MS) > 0) answer.good_for = YOUNG_GOOD_FOR;
    ipc_answer(request, IPC_KEYS_TICKETS_GIVEN, &answer, -1);
    buf_free_secret(&rows);
}

/* From the process before only: master says who calls. */
static void take_tickets(struct keys *keys, struct ipc_request *request) {
    const struct ipc_keys_tickets_given *given = request->message;
    struct ipc_ticket_key row;
    size_t offset = 0, taken = 0;
    bool bad = false;
    if (!str_equal(ipc_peer_service(request->peer), service_name(keys->service))) {
        log_warning("the service \"%.*s\" gave ticket keys, which is not for it",
                    STR_ARGS(ipc_peer_service(request->peer)));
        return;
    }
    while (ipc_list_next(given->keys, IPC_ROW_TICKET_KEY, &offset, &row, &bad))
        taken += tickets_take(&keys->tickets, now_seconds(), row.name, row.secret);
    if (taken > 0) log_info("took over %zu keys of session tickets", taken);
}

static void dispatch(struct ipc_request *request, void *context) {
    struct keys *keys = context;
    struct peer *peer = peer_of(request, keys);
    if (request->type == IPC_KEYS_SIGN)
        keys_sign(keys, request, peer);
    else if (request->type == IPC_KEYS_CHAINS)
        give_chains(keys, request);
    else if (request->type == IPC_KEYS_TICKETS)
        give_tickets(keys, request);
    else if (request->type == IPC_KEYS_TICKETS_GIVEN)
        take_tickets(keys, request);
    else
        ipc_answer_failed(request, 451, "4.3.0", "keys does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, REQUESTS_AT_ONCE, dispatch, service_context(service));
}

/* ---- leaving */

static void let_go(struct keys *keys) {
    for (struct peer *peer = keys->peers, *next; peer; peer = next) {
        next = peer->next;
        if (!peer->held) continue;
        peer->held = false;
        ipc_peer_unhold(peer->connection);
    }
}

static void hand_over_tickets(struct keys *keys) {
    struct failure failure = {0};
    struct buf rows = buf_make(1024);
    struct ipc_client *successor = service_client(keys->service, "keys", NULL, NULL);
    struct ipc_keys_tickets_given given = ticket_rows(keys, &rows);
    if (given.keys.count > 0 && successor &&
        ipc_tell(successor, IPC_KEYS_TICKETS_GIVEN, &given, deadline_in(TELL_PATIENCE_MS), &failure) != IPC_OK)
        log_warning("sessions of before cannot be resumed: %s", failure.text);
    buf_free_secret(&rows);
}

/* The callers go to the successor; what they have begun here ends here. */
static void drain(struct service *service) {
    struct keys *keys = service_context(service);
    deadline until = deadline_in(LEAVE_GRACE_MS);
    if (!service_is_stopping(service)) {
        hand_over_tickets(keys);
        tell_all(keys);
        while (keys->peers && deadline_left(until) > 0 && !service_is_stopping(service))
            if (task_sleep(LEAVE_LOOK_MS) == WAIT_CANCELLED) break;
    }
    let_go(keys);
}

static void stop(struct service *service) {
    let_go(service_context(service));
}

/* ---- the daemon */

/* Memory for private keys that is locked, not dumped and between guard pages, enough for two states of the
 * files; and, for root, no page of the process is ever swapped. Neither is worth not to start. */
static void guard_memory(size_t material) {
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    size_t size = SECURE_LEAST;
    while (size < material && size < SECURE_MOST)
        size *= 2;
    if (setrlimit(RLIMIT_MEMLOCK, &all) == 0) (void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    if (CRYPTO_secure_malloc_init(size, 32) == 0) log_warning("no memory can be set aside for private keys");
}

static bool prepare(struct service *service, struct failure *failure) {
    struct keys *keys = MEMORY_NEW(struct keys);
    *keys = (struct keys){.service = service,
                          .config = service_config(service),
                          .retired = memory_allocate(RETIRED_MOST, sizeof *keys->retired),
                          .tickets = {.life = service_config(service)->smtpd_tls_session_cache_timeout}};
    service_set_context(service, keys);
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    if (!reader_start(keys->config, service_is_private(service), &keys->reader, failure) ||
        !reader_receive(keys->reader, &keys->first, failure))
        return false;
    guard_memory(keys->first.length);
    return true;
}

static bool start(struct service *service, struct failure *failure) {
    struct keys *keys = service_context(service);
    keys->started = clock_monotonic();
    take_material(keys, buf_str(&keys->first));
    buf_free_secret(&keys->first);
    return task_start("files", follow_files, keys) || failure_set(failure, "no stack to follow the files");
}

static void tick(struct service *service) {
    struct keys *keys = service_context(service);
    int64_t now = now_seconds();
    size_t ended = 0;
    while (ended < keys->retired_count && deadline_left(keys->retired[ended].until) == 0)
        ended++;
    drop_retired(keys, ended);
    /* The first is made when somebody asks, unless the process before hands its own over first. */
    if (keys->tickets.count > 0 && !tickets_renew(&keys->tickets, now, random_bytes))
        log_warning("no random numbers for session tickets");
    struct buf lines = buf_make(1 << 20);
    if (key_store_drop_staples(keys->store, now, &lines) > 0) tell_all(keys);
    log_lines(buf_str(&lines));
    buf_clear(&lines);
    if (now < keys->warned + WARN_PAUSE && now >= keys->warned) {
        buf_free(&lines);
        return;
    }
    key_store_check_dates(keys->store, keys->config->tls_certificate_warn_time, now, &lines);
    log_lines(buf_str(&lines));
    buf_free(&lines);
    keys->warned = now;
}

static const struct service_declaration declaration = {
    .program = "keys",
    .prepare = prepare,
    .start = start,
    .session = session,
    .tick = tick,
    .drain = drain,
    .stop = stop,
    .session_limit = 2000,
    .blocking_threads = 8, /* for RSA */
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
