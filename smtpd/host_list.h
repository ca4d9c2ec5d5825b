/* host_list: a list parameter that names clients (mynetworks, smtpd_authorized_xclient_hosts).
 *
 * A list of literal items (addresses, networks, names, files read before the
 * sandbox closes) is matched here; one with a table in it is matched by lookup. */
#ifndef TERN_HOST_LIST_H
#define TERN_HOST_LIST_H

#include "failure.h"
#include "match_list.h"
#include "resolve.h"

struct host_list {
    struct match_list *literal; /* NULL: ask lookup */
    struct str parameter;       /* by whose name lookup knows the list */
    struct str value;           /* borrowed */
};

/* Blocking; before the sandbox. flags: enum match_list_flags. */
MUST_USE bool host_list_open(struct host_list *list, const char *parameter, struct str value, unsigned flags,
                             struct failure *failure);
/* name may be "unknown". MATCH_RETRY: a table did not answer. */
MUST_USE enum match_result host_list_match(struct host_list *list, struct resolve *resolve, struct str name,
                                           struct str address);
/* True if a list's text names a table ("type:name"), which only lookup can open. */
bool host_list_has_table(struct str value);

#endif
