/* dns_options: the resolver as main.cf wants it. */
#ifndef TERN_DNS_OPTIONS_H
#define TERN_DNS_OPTIONS_H

#include "config.h"
#include "dns.h"

/* Reads dns_servers, dns_timeout, dns_attempts, dns_cache_limit and dns_trust_any_server. A server is written as address,
 * [address], address:port or [address]:port. */
MUST_USE bool dns_options_read(const struct config *config, struct resolver_options *options, struct failure *failure);

#endif
