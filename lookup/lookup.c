/* lookup: opens every table, resolves addresses, and asks DNS for smtpd.
 *
 *   LOOKUP_RESOLVE  resolve.c   the class of an address, and whether it is there
 *                   route.c     its transport and next hop
 *   LOOKUP_EXPAND   expand.c    virtual aliases
 *   LOOKUP_MANY     many.c      several of these two at once
 *   LOOKUP_LOCAL    local.c     aliases and accounts; mailbox.c virtual mailboxes
 *   LOOKUP_QUOTA    mail_account.c  accounts of auth_sources as mailboxes
 *   LOOKUP_MATCH    match.c     a key in a table or list of the configuration
 *   LOOKUP_CREDENTIALS credentials.c  accounts at other servers, for smtp alone
 *   LOOKUP_NAME     names.c     the verified name of a client
 *   LOOKUP_DNS      names.c     whether a domain can get mail
 *   LOOKUP_CHANGED  refresh.c   said to every caller when a table has changed
 *
 *   tables.c        every table, opened once; source_owner.c whose it is
 *   accounts.c      the system's accounts
 *   subject.c       an address in its parts, and the order of questions
 *
 * A table that does not answer makes the answer 451 and never "not there". It runs as
 * tern-lookup with files readable, DNS reachable, and reads nothing from strangers
 * but addresses and names that a daemon has parsed before. */
#include "lookup.h"
#include "log.h"
#include <time.h>

/* ---- callers */

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
        task_run_blocking(sleep_briefly, NULL);
    MEMORY_FREE(peer);
}

static struct peer *peer_of(struct ipc_request *request, struct lookup *lookup) {
    struct peer *peer = ipc_peer_state(request->peer);
    if (peer) return peer;
    peer = MEMORY_NEW(struct peer);
    peer->lookup = lookup;
    peer->connection = request->peer;
    peer->told = tables_generation(lookup->tables);
    peer->next = lookup->peers;
    peer->previous = &lookup->peers;
    if (lookup->peers) lookup->peers->previous = &peer->next;
    lookup->peers = peer;
    ipc_peer_set_state(request->peer, peer, peer_destroy);
    return peer;
}

/* ---- requests */

static void answer_or_fail(struct ipc_request *request, bool good, enum ipc_type type, const void *answer,
                           const struct failure *failure) {
    if (good && ipc_answer(request, type, answer, -1)) return;
    ipc_answer_failed(request, 451, "4.3.0", "%s", good ? "the answer does not fit" : failure->text);
}

static void serve_match(struct ipc_request *request, struct lookup *lookup) {
    const struct ipc_lookup_match *question = request->message;
    struct ipc_lookup_matched answer;
    struct failure failure = {0};
    enum match_answer result = lookup_match(lookup, question->table, question->key, request->arena, &answer, &failure);
    if (result == MATCH_NOT_PERMITTED)
        log_warning("refused to the service \"%.*s\": %s", STR_ARGS(ipc_peer_service(request->peer)), failure.text);
    answer_or_fail(request, result == MATCH_ANSWERED, IPC_LOOKUP_MATCHED, &answer, &failure);
}

/* Passwords: what is told of them is wiped when it has been sent. */
static void serve_credentials(struct ipc_request *request, struct lookup *lookup) {
    struct ipc_lookup_credentials_given answer = {.found = false};
    struct failure failure = {0};
    if (!str_equal(ipc_peer_program(request->peer), STR("smtp"))) {
        log_warning("refused to the service \"%.*s\": accounts at other servers",
                    STR_ARGS(ipc_peer_service(request->peer)));
        ipc_answer_failed(request, 550, "5.7.1", "not for this program");
        return;
    }
    bool good = lookup_credentials(lookup, request->message, request->arena, &answer, &failure);
    answer_or_fail(request, good, IPC_LOOKUP_CREDENTIALS_GIVEN, &answer, &failure);
    if (answer.password.length) memory_wipe((void *)(uintptr_t)answer.password.data, answer.password.length);
    if (answer.grant.length) memory_wipe((void *)(uintptr_t)answer.grant.data, answer.grant.length);
}

static void serve_many(struct ipc_request *request, struct lookup *lookup) {
    struct ipc_lookup_many_found answer;
    struct failure failure = {0};
    struct buf rows;
    lookup_many(lookup, request->message, &rows, &answer);
    answer_or_fail(request, true, IPC_LOOKUP_MANY_FOUND, &answer, &failure);
    buf_free(&rows);
}

static void serve(struct ipc_request *request, struct lookup *lookup) {
    struct arena *arena = request->arena;
    struct failure failure = {0};
    if (request->type == IPC_LOOKUP_RESOLVE) {
        const struct ipc_lookup_resolve *question = request->message;
        struct ipc_lookup_resolved answer;
        bool good = lookup_resolve(lookup, question->address, question->sender, arena, &answer, &failure);
        /* Before anyone is called unknown: the tables of this moment, not of the last second. */
        if (good && !answer.known && lookup_refresh(lookup))
            good = lookup_resolve(lookup, question->address, question->sender, arena, &answer, &failure);
        answer_or_fail(request, good, IPC_LOOKUP_RESOLVED, &answer, &failure);
    } else if (request->type == IPC_LOOKUP_EXPAND) {
        const struct ipc_lookup_expand *question = request->message;
        struct ipc_lookup_expanded answer;
        bool good = lookup_expand(lookup, question->address, arena, &answer, &failure);
        answer_or_fail(request, good, IPC_LOOKUP_EXPANDED, &answer, &failure);
    } else if (request->type == IPC_LOOKUP_MANY) {
        serve_many(request, lookup);
    } else if (request->type == IPC_LOOKUP_LOCAL) {
        const struct ipc_lookup_local *question = request->message;
        struct ipc_lookup_local_found answer;
        bool good = lookup_local(lookup, question->address, question->no_alias, arena, &answer, &failure);
        answer_or_fail(request, good, IPC_LOOKUP_LOCAL_FOUND, &answer, &failure);
    } else if (request->type == IPC_LOOKUP_QUOTA) {
        struct ipc_lookup_quota_found answer;
        bool good = lookup_quota(lookup, request->message, arena, &answer, &failure);
        answer_or_fail(request, good, IPC_LOOKUP_QUOTA_FOUND, &answer, &failure);
    } else if (request->type == IPC_LOOKUP_MATCH) {
        serve_match(request, lookup);
    } else if (request->type == IPC_LOOKUP_CREDENTIALS) {
        serve_credentials(request, lookup);
    } else if (request->type == IPC_LOOKUP_NAME) {
        const struct ipc_lookup_name *question = request->message;
        struct ipc_lookup_named answer;
        bool good = lookup_name(lookup, question->address, arena, &answer, &failure);
        answer_or_fail(request, good, IPC_LOOKUP_NAMED, &answer, &failure);
    } else if (request->type == IPC_LOOKUP_DNS) {
        const struct ipc_lookup_dns *question = request->message;
        struct ipc_lookup_dns_found answer;
        bool good = lookup_dns(lookup, question->domain, arena, &answer, &failure);
        answer_or_fail(request, good, IPC_LOOKUP_DNS_FOUND, &answer, &failure);
    } else {
        ipc_answer_failed(request, 451, "4.3.0", "lookup does not serve %s", ipc_type_name(request->type));
    }
}

static void dispatch(struct ipc_request *request, void *context) {
    struct lookup *lookup = context;
    struct peer *peer = peer_of(request, lookup);
    uint64_t generation = tables_generation(lookup->tables);
    serve(request, lookup);
    /* Tables changed while this was being found out: the caller was told before it got
     * an answer of the old ones, so it is told again. */
    if (generation != tables_generation(lookup->tables)) {
        peer->told = 0;
        lookup_tell(peer);
    }
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, 10000, dispatch, service_context(service));
}

/* ---- the daemon */

/* What has to come before the sandbox: the resolver's servers, this machine's
 * addresses, and the C library's ways to accounts. */
static bool prepare(struct service *service, struct failure *failure) {
    struct lookup *lookup = lookup_create(service_config(service));
    lookup->service = service;
    service_set_context(service, lookup);
    accounts_prepare();
    return lookup_find_interfaces(lookup, failure) && lookup_open_resolver(lookup, failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct lookup *lookup = service_context(service);
    (void)failure;
    if (lookup->config->mail_account_domains.length) {
        lookup->auth = service_client(service, "auth", NULL, NULL);
        lookup->local = service_client(service, "local", NULL, NULL);
        lookup->virtual = service_client(service, "virtual", NULL, NULL);
    }
    lookup_open_tables(lookup);
    return true;
}

static void tick(struct service *service) {
    lookup_tick(service_context(service));
}

static const struct service_declaration declaration = {
    .program = "lookup",
    .prepare = prepare,
    .start = start,
    .session = session,
    .tick = tick,
    .session_limit = 10000,
    .blocking_threads = 8,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
