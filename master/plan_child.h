/* plan_child: the process that reads the configuration and sends the plan. */
#ifndef TERN_MASTER_PLAN_CHILD_H
#define TERN_MASTER_PLAN_CHILD_H

#include "plan.h"

/* In the child: reads the configuration, sends the plan over socket. Returns the exit status. */
int plan_child(const char *config_directory, int socket);
/* Forks that child; *pid and the receiving end of the socket, or -1. */
MUST_USE int plan_start_child(const char *config_directory, pid_t *pid, struct failure *failure);

#endif
