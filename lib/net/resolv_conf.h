/* resolv_conf: what /etc/resolv.conf says, for the DNS transport.
 *
 * A pure parser of resolv.conf(5). Only what tern uses is read: nameserver
 * lines and the options timeout and attempts. Names of mail domains are always
 * absolute, so search lists do not matter; lines that cannot be read are passed
 * over, as the C library does. */
#ifndef TERN_RESOLV_CONF_H
#define TERN_RESOLV_CONF_H

#include "endpoint.h"
#include "str.h"

#define RESOLV_CONF_SERVERS 4

struct resolv_conf {
    struct endpoint servers[RESOLV_CONF_SERVERS]; /* port 53 */
    size_t server_count;                          /* at least 1: without a nameserver line it is 127.0.0.1 */
    int64_t timeout;                              /* ms, 0: not given; at most 30 s */
    unsigned attempts;                            /* 0: not given; at most 5 */
};

void resolv_conf_parse(struct str text, struct resolv_conf *conf);

#endif
