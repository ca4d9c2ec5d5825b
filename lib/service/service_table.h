/* service_table: the rows of services.def as data, for the skeleton, master,
 * the tests and the manual. */
#ifndef TERN_SERVICE_TABLE_H
#define TERN_SERVICE_TABLE_H

#include "compiler.h"
#include "rights.h"
#include "str.h"

enum service_root { ROOT_SLASH, ROOT_EMPTY, ROOT_QUEUE, ROOT_DROP, ROOT_LOGS, ROOT_FETCH, ROOT_TLSRPT };

struct service_row {
    const char *program;
    const char *user; /* account without the prefix, "smtpd"; "root" is root itself */
    enum service_root root;
    unsigned rights;
    const char *peers; /* space separated; "*agents": any transport */
    unsigned descriptors;
    unsigned memory_mib;
    const char *job;
};

/* All rows; *count says how many. */
const struct service_row *service_rows(size_t *count);
/* The row of a program, NULL if there is none. */
const struct service_row *service_row_find(struct str program);
/* Whether the row lists that service as a peer. */
bool service_row_has_peer(const struct service_row *row, struct str name);

#endif
