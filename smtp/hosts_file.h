/* hosts_file: names and addresses as /etc/hosts has them (hosts(5)). Pure. */
#ifndef TERN_HOSTS_FILE_H
#define TERN_HOSTS_FILE_H

#include "endpoint.h"
#include "str.h"

/* The next address of a name in the text of such a file: start with *offset 0.
 * Names compare without case; the endpoint has port 0. False at the end. */
MUST_USE bool hosts_file_next(struct str text, size_t *offset, struct str name, struct endpoint *address);

#endif
