/* smtp: hands messages to other servers, by SMTP and LMTP.
 *
 *   DELIVER              deliver.c      one message, some recipients, one destination
 *   where it goes        next_hop.c, route.c (DNS), hosts_file.c, hosts.c (their order)
 *   a connection         session.c      connect, greeting, EHLO, QUIT
 *                        connection_cache.c
 *   AUTH                 login.c        with an account that lookup names; access_token.c, token_grant.c
 *   a message on it      transaction.c  XFORWARD, MAIL, RCPT, DATA or BDAT, results
 *                        content.c      LF to CR LF, dots, long lines
 *   what replies mean    reply_policy.c, trouble.c
 *   TLS                  tls_plan.c     what is asked of it: tls_policy.c, tls_dane.c, tls_sts.c
 *                        tls_client.c   contexts, handshake; tls_sessions.c, tls_roots.c
 *                        tls_result.c   what came of it
 *   parameters           settings.c, tls_settings.c
 *
 * It runs as tern-smtp in an empty root, may use the network and talk to nobody
 * else; the queue file comes with the request, read-only. */
#include "config_load.h"
#include "deliver.h"
#include "dns_options.h"
#include "log.h"
#include "login.h"
#include "sasl_client.h"
#include "resolve.h"
#include "service.h"
#include "tls_client.h"

#define DELIVERIES_AT_ONCE 4000
#define HOSTS_FILE_MAX     ((size_t)1 << 20)

static void deliver(struct ipc_request *request, struct smtp *smtp) {
    struct buf rows = buf_make(0);
    struct ipc_delivered answer;
    struct arena *arena = arena_create(0);
    smtp_deliver(smtp, request->message, request->descriptor, arena, &rows, &answer);
    ipc_answer(request, IPC_DELIVERED, &answer, -1);
    arena_destroy(&arena);
    buf_free(&rows);
}

static void dispatch(struct ipc_request *request, void *context) {
    if (request->type == IPC_DELIVER && request->descriptor >= 0)
        deliver(request, context);
    else
        ipc_answer_failed(request, 451, "4.3.0", "smtp does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, DELIVERIES_AT_ONCE, dispatch, service_context(service));
}

/* What is read from files and asked of the system comes before the sandbox. */
static bool prepare(struct service *service, struct failure *failure) {
    struct smtp *smtp = MEMORY_NEW(struct smtp);
    struct resolver_options options;
    service_set_context(service, smtp);
    smtp->config = service_config(service);
    smtp->service = service;
    bool lmtp = str_equal(service_name(service), STR("lmtp")) || str_equal(smtp->config->smtp_protocol, STR("lmtp"));
    own_addresses_read(smtp->config, &smtp->own);
    sasl_client_prepare();
    if (!dns_options_read(smtp->config, &options, failure)) return false;
    smtp->resolver = resolver_create(&options, failure);
    if (!smtp->resolver || !smtp_settings_read(smtp->config, lmtp, &smtp->settings, failure)) return false;
    if (smtp->settings.look_in_hosts && !config_read_file("/etc/hosts", HOSTS_FILE_MAX, &smtp->hosts_text, failure))
        log_warning("%s: names are not looked up there", failure->text);
    tls_client_read_roots(&smtp->settings.tls, &smtp->roots);
    return true;
}

static bool start(struct service *service, struct failure *failure) {
    (void)failure;
    struct smtp *smtp = service_context(service);
    smtp->lookup = service_client(service, "lookup", NULL, NULL);
    smtp->fetch = service_client(service, "fetch", NULL, NULL);
    smtp->logins = login_memory_create();
    smtp->cache.limit = (size_t)smtp->config->smtp_connection_cache_limit;
    smtp->cache.time_limit = smtp->settings.cache_time_limit;
    smtp->tls = tls_client_create(smtp, buf_str(&smtp->roots));
    if (smtp->settings.tls.policy_maps) smtp->resolve = resolve_create(service, 0);
    return true;
}

static void drain(struct service *service) {
    struct smtp *smtp = service_context(service);
    connection_cache_clear(&smtp->cache);
    smtp->settings.cache_on_demand = false;
}

static const struct service_declaration declaration = {
    .program = "smtp",
    .prepare = prepare,
    .start = start,
    .session = session,
    .drain = drain,
    .session_limit = 1000,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
