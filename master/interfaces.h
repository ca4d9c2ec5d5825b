/* interfaces: which addresses an inet row of master.cf listens on, by
 * inet_interfaces and inet_protocols. Runs in the configuration child. */
#ifndef TERN_MASTER_INTERFACES_H
#define TERN_MASTER_INTERFACES_H

#include "config.h"
#include "endpoint.h"

/* name: "25", "smtp", "127.0.0.1:10025", "[::1]:25", "localhost:10026", ":25".
 * Without a host, inet_interfaces says where. False if nothing fits into limit
 * or a name is unknown; *count is then 0. */
MUST_USE bool interfaces_of_service(const struct config *config, struct str name, struct endpoint *endpoints,
                                    size_t limit, size_t *count, struct failure *failure);

#endif
