/* auth: the one context of the daemon, and what its files offer each other. */
#ifndef TERN_AUTH_DAEMON_H
#define TERN_AUTH_DAEMON_H

#include "config.h"
#include "ipc.h"
#include "service.h"
#include "sources.h"

struct auth {
    struct service *service;
    const struct config *config;
    struct sources sources;
};

#endif
