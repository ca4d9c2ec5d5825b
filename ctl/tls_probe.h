/* tern tls-probe: what its files share. */
#ifndef TERN_CTL_TLS_PROBE_H
#define TERN_CTL_TLS_PROBE_H

#include "tls_plan.h"

/* Prints what the server's certificate says, and which of its chain each TLSA record fits. pem: its chain. */
void probe_print_chain(struct str pem, const struct tls_plan *plan, const char *digest);

#endif
