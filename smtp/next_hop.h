/* next_hop: the text that says where mail goes, as data. Pure.
 *
 *   domain            its MX hosts
 *   host:port         MX hosts of host, at that port
 *   [host] [host]:port  that host, no MX
 *   [192.0.2.1] [IPv6:2001:db8::1] [2001:db8::1]:port  that address
 *   inet:host:port    that host, no MX (as Postfix's LMTP client writes it)
 *   unix:/path        a UNIX socket */
#ifndef TERN_NEXT_HOP_H
#define TERN_NEXT_HOP_H

#include "endpoint.h"
#include "failure.h"
#include "str.h"

enum next_hop_kind { NEXT_HOP_DOMAIN, NEXT_HOP_HOST, NEXT_HOP_ADDRESS, NEXT_HOP_PATH };

struct next_hop {
    enum next_hop_kind kind;
    struct str host; /* domain, host name, address without brackets, or path; borrowed */
    uint16_t port;
};

/* Reads one next hop. LMTP (lmtp set) asks for no MX records: a bare name is a host. */
MUST_USE bool next_hop_parse(struct str text, bool lmtp, uint16_t default_port, struct next_hop *next_hop,
                             struct failure *failure);
/* The next one of a list parted by blanks and commas. False at the end. */
MUST_USE bool next_hop_list_next(struct str *list, struct str *next_hop);
/* A port's number, or one of smtp, smtps, submission, submissions, lmtp. */
MUST_USE bool next_hop_port(struct str text, uint16_t *port);

#endif
