/* pam: the parts of the daemon that asks PAM.
 *
 *   pam.c      the daemon: takes PAM_CHECK from auth, hands it on, answers
 *   checker.c  a process that stays root: forks one process for each check, ends it past its time
 *   check.c    that process: one pam_authenticate, one pam_acct_mgmt */
#ifndef TERN_PAM_H
#define TERN_PAM_H

#include "config.h"
#include "ipc.h"

/* ---- check.c */

enum pam_verdict {
    PAM_VERDICT_GOOD,
    PAM_VERDICT_WRONG,
    PAM_VERDICT_UNKNOWN,
    PAM_VERDICT_DISABLED, /* the password is right, and the account is locked, expired or not let in */
    PAM_VERDICT_LATER,
};

/* Whether it names a PAM service and not a file somewhere else. */
bool pam_service_is_plain(struct str service);
/* Asks PAM; blocks as long as its modules like. directory: of service files, empty for the system's. */
enum pam_verdict pam_check_run(const struct ipc_pam_check *check, struct str directory, char reason[200]);
/* What of it is told to auth. */
struct ipc_failed pam_failure(enum pam_verdict verdict, const char *reason);

/* ---- checker.c */

/* Makes the process, before the daemon locks itself in; *socket leads to it. */
MUST_USE bool checker_prepare(const struct config *config, int *socket, struct failure *failure);
/* What that process does until the daemon has gone. Exposed for tests: socket as checker_prepare's other end. */
NO_RETURN void checker_run(const struct config *config, int socket);

#endif
