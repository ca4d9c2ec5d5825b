/* smtp: the one context of the daemon, and its settings. */
#ifndef TERN_SMTP_H
#define TERN_SMTP_H

#include "config.h"
#include "connection_cache.h"
#include "dns.h"
#include "hash.h"
#include "hosts.h"
#include "ipc.h"
#include "tls_settings.h"

#define OWN_ADDRESSES_MAX 256

/* AUTH: smtp_sasl_* or lmtp_sasl_*. */
struct sasl_settings {
    bool enable, by_sender, soft_bounce, remember;
    int64_t remember_time; /* ms */
    struct str mechanism_filter;
    unsigned security, tls_security, tls_verified_security; /* sets of enum sasl_security */
};

/* The parameters of this service, smtp_* or lmtp_*, in milliseconds and octets. */
struct smtp_settings {
    bool lmtp;
    struct str helo_name;
    uint16_t port;
    int64_t connect_timeout, helo_timeout, xforward_timeout, mail_timeout, rcpt_timeout, data_init_timeout,
        data_xfer_timeout, data_done_timeout, rset_timeout, quit_timeout;
    int64_t line_length_limit, mx_address_limit, mx_session_limit;
    int64_t cache_time_limit, reuse_time_limit, reuse_count_limit;
    bool cache_on_demand, skip_quit_response, send_xforward;
    bool use_ipv4, use_ipv6, use_mx;
    bool look_in_dns, look_in_hosts, hosts_first; /* smtp_host_lookup: dns, native */
    unsigned discard_extensions;
    enum address_preference preference;
    struct endpoint bind_ipv4, bind_ipv6; /* length 0: any */
    struct sasl_settings sasl;
    struct tls_settings tls;
};

/* Where this machine receives mail: who would send there sends in a circle. */
struct own_addresses {
    struct endpoint endpoints[OWN_ADDRESSES_MAX];
    size_t count;
};

struct service;
struct login_memory;
struct resolve;
struct tls_client;
struct sts_cache;

struct smtp {
    const struct config *config;
    struct service *service; /* by whom UNIX sockets are reached; NULL: directly */
    struct smtp_settings settings;
    struct resolver *resolver;
    struct own_addresses own;
    struct buf hosts_text; /* /etc/hosts as it was at start, if settings.look_in_hosts */
    struct connection_cache cache;
    uint64_t random_counter;
    struct ipc_client *lookup, *fetch; /* NULL: there are none */
    struct login_memory *logins;
    struct resolve *resolve; /* tables, by lookup; NULL: there are none */
    struct buf roots;        /* certificates of authorities, PEM */
    struct tls_client *tls;
    struct sts_cache *sts;    /* MTA-STS policies that were asked for; NULL: none yet */
    unsigned results_at_once; /* of TLS, being told to tlsrpt */
    bool validation_looked_for; /* whether the resolver validates */
};

/* settings.c */
/* The settings from the configuration; lmtp chooses the parameters. */
MUST_USE bool smtp_settings_read(const struct config *config, bool lmtp, struct smtp_settings *settings,
                                 struct failure *failure);
/* inet_interfaces and proxy_interfaces as addresses. Asks the system: before the sandbox. */
void own_addresses_read(const struct config *config, struct own_addresses *own);
bool own_addresses_have(const struct own_addresses *own, const struct endpoint *endpoint);

#endif
