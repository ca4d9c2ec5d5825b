/* auth: says who somebody is, for every protocol. The only process that sees password hashes and SCRAM keys.
 *
 *   AUTH_MECHANISMS, AUTH_BEGIN, AUTH_RESPONSE, AUTH_CANCEL   exchange.c
 *   AUTH_BANS, AUTH_BAN_CHANGE                                bans.c
 *
 *   mechanism_*.c   a mechanism each; sasl_message.c parses what clients say
 *   login.c         from a name and a proof to a decision
 *   source_*.c      where accounts come from; sources.c lists them
 *   password_*.c    stored passwords
 *   hash_queue.c    whose password is hashed next; password_cache.c which need not be
 *   failures.c      wrong logins and bans; auth_state.c keeps them over restarts
 *
 * A source that does not answer makes the answer 454 and never "wrong". No message of
 * this daemon carries a stored secret. */
#include "auth_daemon.h"
#include "log.h"
#include "relay.h"
#include <openssl/crypto.h>
#include <pwd.h>
#include <unistd.h>

#define THREADS 16

/* ---- requests */

static void tell_mechanisms(struct ipc_request *request, struct auth *auth) {
    struct buf names = buf_make(400);
    mechanisms_offered(auth, request->message, &names);
    struct ipc_auth_mechanisms_given answer = {.mechanisms = buf_str(&names)};
    (void)ipc_answer(request, IPC_AUTH_MECHANISMS_GIVEN, &answer, -1);
    buf_free(&names);
}

/* Daemons that master connected, and operators: nobody else may try passwords. */
static bool may_ask(const struct ipc_request *request, const struct auth *auth) {
    return ipc_peer_service(request->peer).length > 0 || bans_is_operator(request, auth);
}

static void dispatch(struct ipc_request *request, void *context) {
    struct auth *auth = context;
    if (bans_serve(request, auth)) return;
    if (!may_ask(request, auth))
        ipc_answer_failed(request, 550, "5.7.0", "only root and mail_owner may ask");
    else if (request->type == IPC_AUTH_ACCOUNT && !str_equal(ipc_peer_service(request->peer), STR("lookup")) &&
             !bans_is_operator(request, auth))
        ipc_answer_failed(request, 550, "5.7.0", "only lookup may ask");
    else if (request->type == IPC_AUTH_ACCOUNT)
        admit_tell_account(request, auth);
    else if (request->type == IPC_AUTH_MECHANISMS)
        tell_mechanisms(request, auth);
    else if (request->type == IPC_AUTH_BEGIN)
        exchange_begin(request, auth);
    else if (request->type == IPC_AUTH_RESPONSE)
        exchange_respond(request, auth);
    else if (request->type == IPC_AUTH_CANCEL)
        exchange_cancel(request, auth);
    else
        ipc_answer_failed(request, 454, "4.7.0", "auth does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, 20000, dispatch, service_context(service));
}

/* ---- the daemon */

static struct failures *make_failures(const struct config *config) {
    struct failures_limits limits = {.address_failures = (uint32_t)config->auth_address_failures,
                                     .account_failures = (uint32_t)config->auth_account_failures,
                                     .window = config->auth_failure_window,
                                     .ban_time = config->auth_ban_time,
                                     .ban_time_limit = config->auth_ban_time_limit,
                                     .known_time = config->auth_known_address_time,
                                     .records = (size_t)config->auth_tracked_limit};
    return failures_create(&limits);
}

static void find_owner(struct auth *auth) {
    char *name = memory_copy_string(auth->config->mail_owner);
    const struct passwd *account = service_is_private(auth->service) ? NULL : getpwnam(name);
    auth->owner = account ? (uint32_t)account->pw_uid : (uint32_t)geteuid();
    MEMORY_FREE(name);
}

/* One more than there are processors: the place that is kept for those who are known. */
static unsigned worker_count(const struct config *config) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (config->auth_hash_workers > 0) return (unsigned)config->auth_hash_workers;
    return processors < 1 ? 2 : processors < THREADS ? (unsigned)processors + 1 : THREADS;
}

static bool warn_of_mechanisms(const struct config *config) {
    struct str word, rest = config->auth_mechanisms;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (!mechanism_find(word)) log_warning("auth_mechanisms: there is no %.*s", STR_ARGS(word));
    return true;
}

/* As root, before the sandbox: files that only root may read, and the file that is written later. */
static bool prepare(struct service *service, struct failure *failure) {
    struct auth *auth = MEMORY_NEW(struct auth);
    struct failure of_state = {0};
    const struct config *config = service_config(service);
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    auth->service = service;
    auth->config = config;
    service_set_context(service, auth);
    find_owner(auth);
    auth->failures = make_failures(config);
    auth->cache = password_cache_create(config->auth_cache_time);
    auth->state = auth_state_open(config->data_directory, &of_state);
    if (of_state.text[0]) log_warning("wrong logins and bans are not kept over restarts: %s", of_state.text);
    auth->hashes = hash_queue_create(worker_count(config), (size_t)config->auth_hash_queue_limit);
    if (!auth->cache) return failure_set(failure, "no random numbers are to be had");
    return warn_of_mechanisms(config) &&
           match_list_open(config->auth_ban_exceptions, MATCH_LIST_ADDRESSES, &auth->ban_exceptions, failure) &&
           relay_prepare(auth, failure) && sources_open(&auth->sources, service, config->auth_sources, failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct auth *auth = service_context(service);
    (void)failure;
    auth->mailbox = service_client(service, "mailbox", NULL, NULL);
    auth_state_adopt(auth->state, auth->failures, clock_seconds());
    return true;
}

static void save(void *argument) {
    struct auth *auth = argument;
    struct failure failure = {0};
    if (!auth_state_save(auth->state, auth->failures, clock_seconds(), &failure))
        log_warning("wrong logins and bans could not be written: %s", failure.text);
}

static void tick(struct service *service) {
    struct auth *auth = service_context(service);
    exchange_expire(auth);
    password_cache_expire(auth->cache);
    failures_expire(auth->failures, clock_seconds());
    auth_state_adopt(auth->state, auth->failures, clock_seconds());
    if (!service_is_draining(service) && auth_state_wants(auth->state, auth->failures))
        if (!task_start("save", save, auth)) log_warning("no stack to write wrong logins and bans; tried again soon");
}

static void drain(struct service *service) {
    struct auth *auth = service_context(service);
    save(auth);
    auth_state_release(auth->state);
}

static const struct service_declaration declaration = {
    .program = "auth",
    .prepare = prepare,
    .start = start,
    .session = session,
    .tick = tick,
    .drain = drain,
    .session_limit = 10000,
    .blocking_threads = THREADS,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
