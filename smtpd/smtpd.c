/* smtpd: the SMTP and LMTP server.
 *
 *   session.c       one client, from greeting to goodbye
 *   commands.c      the table of commands, and the dispatcher; extensions.c what EHLO offers
 *   client.c        who the client is; dialogue.c waiting for its lines
 *   cmd_*.c         a command each; cmd_misc.c has the small ones
 *   session_tls.c   TLS: what is set, the handshake, what follows from it
 *   content*.c      the content: line ends, header, intake
 *   policy.c        the stages of access policy; restrictions.c its words, access.c its tables
 *   sasl.c          which mechanisms AUTH offers to whom
 *   limits.c        how many sessions, messages and recipients a client may have
 *   login_limits.c  what an account may send; sender_login.c as whom
 *   reply.c         what is said, and logged when something is refused
 *
 * It runs as tern-smtpd in an empty root directory, opens no file, and asks cleanup
 * (which hands over an open queue file for large content), lookup and auth. It parses strangers' bytes and
 * holds nothing else. */
#include "smtpd.h"
#include "date.h"
#include "log.h"
#include "log_text.h"
#include <errno.h>
#include <ifaddrs.h>
#include <time.h>

/* This machine's addresses, for permit_inet_interfaces. */
static bool find_own_addresses(struct smtpd *smtpd, struct failure *failure) {
    struct ifaddrs *interfaces = NULL;
    struct buf text = buf_make(0);
    if (getifaddrs(&interfaces) < 0) return failure_set_errno(failure, errno, "cannot list this machine's addresses");
    for (struct ifaddrs *at = interfaces; at; at = at->ifa_next) {
        struct endpoint address = {.length = 0};
        if (!at->ifa_addr || (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6)) continue;
        address.length = at->ifa_addr->sa_family == AF_INET ? sizeof address.address.ipv4 : sizeof address.address.ipv6;
        memcpy(&address.address, at->ifa_addr, address.length);
        endpoint_format_ip(&address, &text);
        buf_append_char(&text, ' ');
    }
    freeifaddrs(interfaces);
    bool good = arena_copy(smtpd->arena, buf_str(&text), &smtpd->own_addresses);
    buf_free(&text);
    return good || failure_set(failure, "too many addresses");
}

/* Lists read their files here, before the sandbox closes. */
static bool prepare(struct service *service, struct failure *failure) {
    const struct config *config = service_config(service);
    struct smtpd *smtpd = MEMORY_NEW(struct smtpd);
    service_set_context(service, smtpd);
    smtpd->service = service;
    smtpd->config = config;
    smtpd->arena = arena_create(0);
    smtpd->lmtp = str_equal(config->smtpd_protocol, STR("lmtp"));
    tzset(); /* localtime_r finds no file later */
    unsigned parents = MATCH_LIST_PARENT;
    return find_own_addresses(smtpd, failure) &&
           host_list_open(&smtpd->networks, "mynetworks", config->mynetworks, MATCH_LIST_ADDRESSES, failure) &&
           host_list_open(&smtpd->xclient_hosts, "smtpd_authorized_xclient_hosts",
                          config->smtpd_authorized_xclient_hosts, parents, failure) &&
           host_list_open(&smtpd->xforward_hosts, "smtpd_authorized_xforward_hosts",
                          config->smtpd_authorized_xforward_hosts, parents, failure) &&
           host_list_open(&smtpd->proxy_hosts, "smtpd_upstream_proxy_hosts", config->smtpd_upstream_proxy_hosts,
                          MATCH_LIST_ADDRESSES, failure) &&
           host_list_open(&smtpd->event_exceptions, "smtpd_client_event_limit_exceptions",
                          config->smtpd_client_event_limit_exceptions, parents, failure) &&
           host_list_open(&smtpd->sasl_exceptions, "smtpd_sasl_exceptions_networks",
                          config->smtpd_sasl_exceptions_networks, parents, failure) &&
           (match_list_open(config->smtpd_sasl_mechanism_filter, MATCH_LIST_NAMES, &smtpd->sasl_filter, failure) ||
            failure_prefix(failure, "smtpd_sasl_mechanism_filter")) &&
           host_list_open(&smtpd->newline_exclusions, "smtpd_forbid_bare_newline_exclusions",
                          config->smtpd_forbid_bare_newline_exclusions, parents, failure) &&
           session_tls_prepare(smtpd, failure);
}

static bool start(struct service *service, struct failure *failure) {
    struct smtpd *smtpd = service_context(service);
    (void)failure;
    smtpd->cleanup = service_client(service, "cleanup", NULL, NULL);
    smtpd->intake = intake_source_create(smtpd->cleanup, smtpd->config);
    smtpd->resolve = resolve_create(service, 0);
    if (smtpd->config->smtpd_sasl_auth_enable) smtpd->auth = auth_client_create(service);
    smtpd->limits = limits_create(smtpd->config);
    smtpd->session_limit = service_session_limit(service);
    smtpd->discarded_extensions = smtpd_extension_bits(smtpd->config->smtpd_discard_ehlo_keywords);
    session_tls_start(smtpd);
    policy_prepare(smtpd);
    return true;
}

static void tick(struct service *service) {
    struct smtpd *smtpd = service_context(service);
    limits_expire(smtpd->limits);
}

static const struct service_declaration declaration = {
    .program = "smtpd",
    .prepare = prepare,
    .start = start,
    .session = session_serve,
    .tick = tick,
    .stop = sessions_stop,
    .session_limit = 10000,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
