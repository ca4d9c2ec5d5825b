/* The daemon's settings: smtp_* or lmtp_* parameters, and the machine's own addresses. */
#include "smtp.h"
#include "next_hop.h"
#include "sasl_client.h"
#include "smtp_reply.h"
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <unistd.h>

/* ---- parameters */

static bool names_protocol(struct str protocols, struct str wanted) {
    struct str word;
    while (str_next_word(&protocols, ", \t", &word))
        if (str_equal_nocase(word, wanted) || str_equal_nocase(word, STR("all"))) return true;
    return false;
}

/* A machine without IPv6 needs not be told inet_protocols = ipv4. One that has no descriptor to spare just now is
 * none without IPv6: that would last as long as the process. */
static bool has_ipv6(void) {
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = (descriptor >= 0 && bind(descriptor, (const struct sockaddr *)&loopback, sizeof loopback) == 0) ||
                failure_is_local(errno);
    if (descriptor >= 0) close(descriptor);
    return good;
}

static unsigned extension_bits(struct str keywords) {
    unsigned bits = 0;
    struct str word;
    while (str_next_word(&keywords, ", \t", &word))
        bits |= smtp_extension_from_keyword(word);
    return bits;
}

static bool read_bind_address(struct str text, struct endpoint *endpoint, struct failure *failure) {
    struct str address = str_trim(text), port;
    if (address.length == 0) return true;
    if (address.data[0] == '[' && str_cut(str_from_offset(address, 1), ']', &address, &port))
        address = str_trim(address);
    return endpoint_from_ip(address, 0, endpoint) || failure_set(failure, "bad bind address \"%.*s\"", STR_ARGS(text));
}

#define MILLISECONDS(seconds) ((seconds)*1000)

static void read_times(const struct config *config, struct smtp_settings *settings) {
#define SETTING_TIME(name) settings->name = MILLISECONDS(settings->lmtp ? config->lmtp_##name : config->smtp_##name)
    SETTING_TIME(connect_timeout);
    SETTING_TIME(xforward_timeout);
    SETTING_TIME(mail_timeout);
    SETTING_TIME(rcpt_timeout);
    SETTING_TIME(data_init_timeout);
    SETTING_TIME(data_xfer_timeout);
    SETTING_TIME(data_done_timeout);
    SETTING_TIME(rset_timeout);
    SETTING_TIME(quit_timeout);
#undef SETTING_TIME
    settings->helo_timeout = MILLISECONDS(settings->lmtp ? config->lmtp_lhlo_timeout : config->smtp_helo_timeout);
    settings->cache_time_limit = MILLISECONDS(settings->lmtp ? config->lmtp_connection_cache_time_limit
                                                             : config->smtp_connection_cache_time_limit);
    settings->reuse_time_limit = MILLISECONDS(settings->lmtp ? config->lmtp_connection_reuse_time_limit
                                                             : config->smtp_connection_reuse_time_limit);
}

static enum address_preference read_preference(struct str text) {
    if (str_equal_nocase(text, STR("ipv4"))) return PREFER_IPV4;
    return str_equal_nocase(text, STR("ipv6")) ? PREFER_IPV6 : PREFER_ANY;
}

/* Where names of hosts are looked up: "dns", "native", or both in order. */
static void read_host_lookup(const struct config *config, struct smtp_settings *settings) {
    struct str list = settings->lmtp ? config->lmtp_host_lookup : config->smtp_host_lookup, word;
    bool no_dns = config->disable_dns_lookups || str_equal(config->smtp_dns_support_level, STR("disabled"));
    while (str_next_word(&list, ", \t", &word)) {
        if (str_equal_nocase(word, STR("dns"))) settings->look_in_dns = true;
        if (!str_equal_nocase(word, STR("native"))) continue;
        settings->look_in_hosts = true;
        settings->hosts_first = !settings->look_in_dns;
    }
    if (no_dns) settings->look_in_dns = false;
    if (!settings->look_in_dns) settings->look_in_hosts = settings->hosts_first = true;
    settings->use_mx = !no_dns;
}

static bool read_security(const char *name, struct str list, unsigned *security, struct failure *failure) {
    struct str bad;
    return sasl_security_parse(list, security, &bad) ||
           failure_set(failure, "%s: unknown word \"%.*s\"", name, STR_ARGS(bad));
}

static bool read_sasl(const struct config *config, bool lmtp, struct sasl_settings *sasl, struct failure *failure) {
#define SASL(name) (lmtp ? config->lmtp_sasl_##name : config->smtp_sasl_##name)
    sasl->enable = SASL(auth_enable);
    sasl->by_sender = !lmtp && config->smtp_sender_dependent_authentication;
    sasl->soft_bounce = SASL(auth_soft_bounce);
    sasl->remember = SASL(auth_cache_name).length > 0 && SASL(auth_cache_time) > 0;
    sasl->remember_time = MILLISECONDS(SASL(auth_cache_time));
    sasl->mechanism_filter = SASL(mechanism_filter);
    return read_security("sasl_security_options", SASL(security_options), &sasl->security, failure) &&
           read_security("sasl_tls_security_options", SASL(tls_security_options), &sasl->tls_security, failure) &&
           read_security("sasl_tls_verified_security_options", SASL(tls_verified_security_options),
                         &sasl->tls_verified_security, failure);
#undef SASL
}

bool smtp_settings_read(const struct config *config, bool lmtp, struct smtp_settings *settings,
                        struct failure *failure) {
    struct smtp_settings read = {.lmtp = lmtp};
    read_times(config, &read);
#define SETTING(name) read.name = lmtp ? config->lmtp_##name : config->smtp_##name
    SETTING(line_length_limit);
    SETTING(mx_address_limit);
    SETTING(mx_session_limit);
    SETTING(skip_quit_response);
#undef SETTING
    read.send_xforward = lmtp ? config->lmtp_send_xforward_command : config->smtp_send_xforward_command;
    read.helo_name = lmtp ? config->lmtp_lhlo_name : config->smtp_helo_name;
    read.reuse_count_limit =
        lmtp ? config->lmtp_connection_reuse_count_limit : config->smtp_connection_reuse_count_limit;
    read.cache_on_demand = lmtp ? config->lmtp_connection_cache_on_demand : config->smtp_connection_cache_on_demand;
    read.discard_extensions =
        extension_bits(lmtp ? config->lmtp_discard_lhlo_keywords : config->smtp_discard_ehlo_keywords);
    read.use_ipv4 = names_protocol(config->inet_protocols, STR("ipv4"));
    read.use_ipv6 = names_protocol(config->inet_protocols, STR("ipv6")) && has_ipv6();
    read_host_lookup(config, &read);
    read.preference = read_preference(config->smtp_address_preference);
    struct str port = lmtp ? config->lmtp_tcp_port : config->smtp_tcp_port;
    if (!next_hop_port(port, &read.port)) return failure_set(failure, "bad port \"%.*s\"", STR_ARGS(port));
    if (!read_bind_address(lmtp ? config->lmtp_bind_address : config->smtp_bind_address, &read.bind_ipv4, failure) ||
        !read_bind_address(lmtp ? config->lmtp_bind_address6 : config->smtp_bind_address6, &read.bind_ipv6, failure))
        return false;
    if (!read_sasl(config, lmtp, &read.sasl, failure)) return false;
    if (!tls_settings_read(config, lmtp, &read.tls, failure)) return false;
    *settings = read;
    return true;
}

/* ---- own addresses */

static void own_add(struct own_addresses *own, const struct sockaddr *address) {
    if (!address || own->count == OWN_ADDRESSES_MAX) return;
    struct endpoint *endpoint = &own->endpoints[own->count];
    if (address->sa_family == AF_INET)
        endpoint->length = sizeof endpoint->address.ipv4;
    else if (address->sa_family == AF_INET6)
        endpoint->length = sizeof endpoint->address.ipv6;
    else
        return;
    memcpy(&endpoint->address, address, endpoint->length);
    own->count++;
}

static void own_add_interfaces(struct own_addresses *own) {
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0) return;
    for (const struct ifaddrs *at = interfaces; at; at = at->ifa_next)
        own_add(own, at->ifa_addr);
    freeifaddrs(interfaces);
}

static void own_add_name(struct own_addresses *own, struct str name) {
    if (name.length > 2 && name.data[0] == '[') name = str_slice(name, 1, name.length - 1);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char *text = memory_copy_string(name);
    if (getaddrinfo(text, NULL, &hints, &found) == 0) {
        for (const struct addrinfo *at = found; at; at = at->ai_next)
            own_add(own, at->ai_addr);
        freeaddrinfo(found);
    }
    MEMORY_FREE(text);
}

void own_addresses_read(const struct config *config, struct own_addresses *own) {
    struct str lists[] = {config->inet_interfaces, config->proxy_interfaces}, word;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        while (str_next_word(&lists[i], ", \t\r\n", &word)) {
            if (str_equal_nocase(word, STR("all")))
                own_add_interfaces(own);
            else
                own_add_name(own, str_equal_nocase(word, STR("loopback-only")) ? STR("localhost") : word);
        }
    }
}

bool own_addresses_have(const struct own_addresses *own, const struct endpoint *endpoint) {
    for (size_t i = 0; i < own->count; i++)
        if (endpoint_same_address(&own->endpoints[i], endpoint)) return true;
    return false;
}
