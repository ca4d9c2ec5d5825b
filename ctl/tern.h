/* tern(8): what its subcommands share. */
#ifndef TERN_CTL_TERN_H
#define TERN_CTL_TERN_H

#include "config_load.h"
#include "failure.h"
#include <sys/types.h>

struct tern {
    const char *config_directory;
    int argument_count; /* those after the subcommand */
    char **arguments;
};

/* ---- tern_common.c */
/* A line on standard error, "tern: ...". */
void tern_complain(const char *format, ...) PRINTF_LIKE(1, 2);
/* Loads main.cf for tern itself; complains and returns NULL if that fails. */
struct config *tern_load(const struct tern *tern);

/* The subcommands; each returns the exit status. */
int tern_start(const struct tern *tern);
/* start --foreground, as postfix start-fg */
int tern_start_foreground(const struct tern *tern);
int tern_stop(const struct tern *tern);
int tern_restart(const struct tern *tern);
int tern_reload(const struct tern *tern);
int tern_status(const struct tern *tern);
int tern_pids(const struct tern *tern);
int tern_flush(const struct tern *tern);
int tern_logrotate(const struct tern *tern);
int tern_check(const struct tern *tern);
int tern_init(const struct tern *tern);
int tern_user(const struct tern *tern);
int tern_tls(const struct tern *tern);
int tern_submission(const struct tern *tern);
int tern_tlsrpt(const struct tern *tern);
int tern_tls_probe(const struct tern *tern);
int tern_auth(const struct tern *tern);
int tern_mailbox(const struct tern *tern);
int tern_who(const struct tern *tern);
int tern_kick(const struct tern *tern);
/* tern user quota: what an account takes, and may. */
int tern_user_quota(const struct tern *tern, const char *name, bool json);

/* ---- tern_start.c */
/* True if a master runs; the working directory is the queue's then. */
bool tern_is_running(const struct tern *tern);

/* ---- tern_check.c */
/* Everything that can be wrong with the configuration, a line each on standard error.
 * False if master would not take it. */
bool check_configuration(const struct tern *tern);
/* Makes the directories that are missing, complains of those with a wrong owner or mode. A
 * mode that lets too many in makes it false only if strict; strictly, one that was missing
 * from a spool that is there, or that lets too few in, is wrong too. */
bool check_directories(const struct config *config, bool strict);

/* ---- check_tables.c, check_restrictions.c, check_queue.c, check_files.c, check_certificates.c, check_tls_client.c:
 * a line for each finding; true if there is none */
/* Tables named in main.cf and master.cf of that directory, opened by the lookup service's user. */
bool check_tables(const char *directory, const struct config *config);
/* Lists of smtpd_*_restrictions: words that smtpd would answer 451 to. */
bool check_restrictions(const char *directory, const struct config *config);
/* Certificates and private keys, as the keys service reads them; warnings make nothing false. */
bool check_certificates(const char *directory, const struct config *config);
/* What main.cf asks of TLS with other servers; warnings make nothing false. */
bool check_tls_client(const struct config *config);
/* The queue below the working directory; repaired if no master runs. */
bool check_queue(void);
/* Owner and modes of the configuration's directory and the files in it. */
bool check_configuration_files(const char *directory);
/* The directories of the log and of virtual mailboxes. */
bool check_places(const struct config *config);

/* ---- check_disk.c */
/* Warns of disks that are full, or nearly. */
void check_disks(const struct config *config);

/* ---- tern_user.c */
/* A line of standard input, without echo if that is a terminal; wipe it after use. */
MUST_USE bool user_read_password(char *password, size_t size, struct failure *failure);

/* ---- tern_files.c: changing files so that a crash leaves the old or the new one */
MUST_USE bool files_replace(const char *path, struct str content, mode_t mode, struct failure *failure);
/* The same for a secret: mode 0640, for that group. */
MUST_USE bool files_replace_for(const char *path, struct str content, gid_t group, struct failure *failure);
/* Reads a file; one that does not exist is empty. */
MUST_USE bool files_read(const char *path, struct buf *content, struct failure *failure);
/* Makes a directory if it is missing, with owner, group ((uid_t)-1: whoever runs) and mode. */
MUST_USE bool files_make_directory(const char *path, uid_t owner, gid_t group, mode_t mode, struct failure *failure);
/* The same for each missing part of the path below an existing one. */
MUST_USE bool files_make_path(const char *path, uid_t owner, gid_t group, mode_t mode, struct failure *failure);

/* ---- tern_accounts.c */
#define ACCOUNT_OWNER "tern" /* mail_owner of what tern init makes as root; the others are tern-smtpd ... */
#define ACCOUNT_GROUP_DROP "tern-drop"
/* The account MAIL_OWNER-SUFFIX when run by root (MAIL_OWNER itself if that is root); whoever
 * runs otherwise. Complains and returns false if there is none. */
MUST_USE bool accounts_find(const char *mail_owner, const char *suffix, uid_t *user, gid_t *group);
/* Makes the accounts and the group that are missing; root only. */
MUST_USE bool accounts_make(struct failure *failure);

#endif
