/* fetch: the one process that speaks HTTP, for all that need something from the web.
 *
 *   STS_POLICY      domains.c   the MTA-STS policy of a domain: cache and fetching
 *                   store.c     policies on disk
 *   HTTP_EXCHANGE   here        one request for auth (keys, tokens) or tlsrpt (reports)
 *                   http.c      libcurl; address.c whom strangers' records may name
 *
 * It runs as tern-fetch, sees its own directory beneath data_directory and
 * nothing else, and asks no other service: whoever takes it over by an answer
 * from the web has a list of policies and the network. */
#include "fetch.h"

#include "dns_options.h"
#include "dns_packet.h"
#include "log.h"

enum {
    REQUESTS_AT_ONCE = 1000, /* of one connection */
    THREADS = 32,            /* transfers at once */
    REFRESH_PAUSE = 5,       /* seconds between two looks for policies that end */
};

/* ---- requests */

static void serve_policy(struct ipc_request *request, struct fetch *fetch) {
    const struct ipc_sts_policy *question = request->message;
    struct ipc_sts_policy_given answer;
    struct dns_name name;
    struct failure failure = {0};
    if (!dns_name_set(&name, question->domain) || !dns_name_is_host(dns_name_str(&name)))
        ipc_answer_failed(request, 501, "5.1.2", "no domain name");
    else if (!domains_policy(fetch, dns_name_str(&name), request->arena, &answer, &failure))
        ipc_answer_failed(request, 451, "4.3.0", "%s", failure.text);
    else if (!ipc_answer(request, IPC_STS_POLICY_GIVEN, &answer, -1))
        ipc_answer_failed(request, 451, "4.3.0", "the answer does not fit");
}

/* auth and smtp (for access tokens) ask the servers that the administrator names, which may be inside; smtp may reach
 * them itself in any case. The addresses of reports come from strangers' records. */
static bool may_exchange(struct ipc_request *ipc, const struct fetch *fetch, struct http_request *request) {
    struct str who = ipc_peer_service(ipc->peer);
    bool trusted = str_equal(who, STR("auth")), token = str_equal(ipc_peer_program(ipc->peer), STR("smtp"));
    request->may_private = trusted || token || fetch->config->fetch_private_addresses;
    request->may_plain = trusted;
    return trusted || token || str_equal(who, STR("tlsrpt"));
}

static void serve_exchange(struct ipc_request *ipc, struct fetch *fetch) {
    const struct ipc_http_exchange *question = ipc->message;
    struct http_answer answer = {.content_type = STR_EMPTY, .body = STR_EMPTY};
    struct failure failure = {0};
    struct http_request request = {.post = str_equal(question->method, STR("POST")),
                                   .url = question->url,
                                   .headers = question->headers,
                                   .body = question->body,
                                   .limit = (size_t)question->limit,
                                   .patience = fetch->config->fetch_timeout * 1000};
    if (!may_exchange(ipc, fetch, &request)) {
        log_warning("refused to the service \"%.*s\": HTTP requests", STR_ARGS(ipc_peer_service(ipc->peer)));
        ipc_answer_failed(ipc, 550, "5.7.1", "this service asks nothing of the web");
        return;
    }
    if (!request.post && !str_equal(question->method, STR("GET"))) {
        ipc_answer_failed(ipc, 501, "5.5.4", "no such method");
        return;
    }
    enum http_result result = http_exchange(fetch, &request, ipc->arena, &answer, &failure);
    struct ipc_http_exchanged exchanged = {
        .status = answer.status, .content_type = answer.content_type, .body = answer.body};
    if (result != HTTP_ANSWERED)
        ipc_answer_failed(ipc, result == HTTP_REFUSED ? 501 : 451, result == HTTP_REFUSED ? "5.5.4" : "4.4.1", "%s",
                          failure.text);
    else if (!ipc_answer(ipc, IPC_HTTP_EXCHANGED, &exchanged, -1))
        ipc_answer_failed(ipc, 451, "4.3.0", "the answer does not fit");
}

static void dispatch(struct ipc_request *request, void *context) {
    struct fetch *fetch = context;
    if (request->type == IPC_STS_POLICY)
        serve_policy(request, fetch);
    else if (request->type == IPC_HTTP_EXCHANGE)
        serve_exchange(request, fetch);
    else
        ipc_answer_failed(request, 451, "4.3.0", "fetch does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, REQUESTS_AT_ONCE, dispatch, service_context(service));
}

/* ---- the daemon */

static void refresh(void *argument) {
    struct fetch *fetch = argument;
    domains_refresh(fetch);
    fetch->refreshing = false;
}

static void tick(struct service *service) {
    struct fetch *fetch = service_context(service);
    if (!fetch->domains || fetch->refreshing) return;
    fetch->refreshing = task_start("refresh policies", refresh, fetch);
}

/* Authorities, the resolver's servers and libcurl's modules lie outside its directory. */
static bool prepare(struct service *service, struct failure *failure) {
    struct fetch *fetch = MEMORY_NEW(struct fetch);
    struct resolver_options options;
    fetch->service = service;
    fetch->config = service_config(service);
    fetch->directory = -1;
    service_set_context(service, fetch);
    if (!dns_options_read(fetch->config, &options, failure)) return false;
    fetch->resolver = resolver_create(&options, failure);
    return fetch->resolver != NULL && http_prepare(fetch, failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct fetch *fetch = service_context(service);
    (void)failure;
    fetch->directory = service_directory(service);
    domains_load(fetch);
    return true;
}

static const struct service_declaration declaration = {
    .program = "fetch",
    .prepare = prepare,
    .start = start,
    .session = session,
    .tick = tick,
    .tick_seconds = REFRESH_PAUSE,
    .session_limit = 1000,
    .blocking_threads = THREADS,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
