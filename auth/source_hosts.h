/* source_hosts: the setting hosts of SQL sources, as Postfix has it: a list of host,
 * host:port, inet:host:port, [address]:port, unix:/path or /path. Pure. */
#ifndef TERN_SOURCE_HOSTS_H
#define TERN_SOURCE_HOSTS_H

#include "clock.h"
#include "failure.h"
#include "str.h"

#define SOURCE_HOSTS_MAX 8

struct source_host {
    char *name;     /* a name, an address, or a path */
    char *port;     /* "": none was given */
    bool local;     /* a path */
    deadline again; /* did not answer: left alone until then */
};

struct source_hosts {
    struct source_host list[SOURCE_HOSTS_MAX];
    size_t count;
};

/* False with what is wrong, *hosts untouched. */
MUST_USE bool source_hosts_parse(struct str list, struct source_hosts *hosts, struct failure *failure);
void source_hosts_free(struct source_hosts *hosts);
/* All of them in the order in which to try them now: those that are left alone come last. */
void source_hosts_order(struct source_hosts *hosts, struct source_host *order[SOURCE_HOSTS_MAX]);
/* What came of trying it. */
void source_host_note(struct source_host *host, bool answered);

#endif
