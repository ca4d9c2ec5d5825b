/* logins: what each account has sent, for all smtpd processes in one place, and the
 * brake that puts a stolen account's mail on hold.
 *
 *   LOGIN_USE      smtpd by way of cleanup: may it, and it has
 *   (bounces)      message_outcome tells of recipients that failed at other servers
 *   the brake      mail that comes is committed on hold, mail that is taken up goes there;
 *                  the administrator and the account are told by mail, once
 *   LOGIN_LIST, LOGIN_CHANGE   tern submission
 *   the file       queue/logins, written some seconds after a change and when qmgr drains; a
 *                  crash loses those seconds of counts, never a hold */
#ifndef TERN_QMGR_LOGINS_H
#define TERN_QMGR_LOGINS_H

#include "ipc.h"

struct qmgr;
struct message;
struct logins;
struct login_usage;
struct map;

/* Reads the file; one that does not read is begun anew, and that is logged. */
void logins_open(struct qmgr *qmgr);
/* Writes it, if anything has changed. Blocks. */
void logins_close(struct qmgr *qmgr);
/* About once a second: writes the file when it is time. Outside tasks. */
void logins_tick(struct qmgr *qmgr);

bool logins_is_held(const struct qmgr *qmgr, struct str login);
/* A recipient of its mail has failed at another server. */
void logins_bounced(struct qmgr *qmgr, struct str login);

void control_login_use(struct ipc_request *request, struct qmgr *qmgr);

/* What an account has sent; NULL: nothing that is known. */
struct login_usage *logins_find(const struct qmgr *qmgr, struct str login);
/* The same, begun if there is none. NULL: there is no room, for so many are on hold. */
struct login_usage *logins_get(struct qmgr *qmgr, struct str login);
/* All of them, by the login in lower case. */
struct map *logins_usages(const struct qmgr *qmgr);
/* Something has changed that is to be written soon, or at once. */
void logins_note_change(struct qmgr *qmgr, bool at_once);
/* The date in seconds, as usages are counted. */
int64_t logins_today(void);

/* ---- logins_control.c */
void control_login_list(struct ipc_request *request, struct qmgr *qmgr);
void control_login_change(struct ipc_request *request, struct qmgr *qmgr);

/* ---- logins_notice.c */
/* Tells the administrator and the account; in a task of its own. */
void logins_tell(struct qmgr *qmgr, struct str login, struct str reason);

#endif
