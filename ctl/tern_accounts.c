/* tern_accounts: the system accounts that daemons run as. Made with useradd(8)
 * and groupadd(8), executed by name without a shell; nothing else here starts a
 * program of the system. */
#include "tern.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAKE_ATTEMPTS = 50, MAKE_PAUSE_MS = 100 };

static const char *const accounts[] = {
    ACCOUNT_OWNER,           ACCOUNT_OWNER "-smtpd",  ACCOUNT_OWNER "-queue",  ACCOUNT_OWNER "-smtp",
    ACCOUNT_OWNER "-bounce", ACCOUNT_OWNER "-pickup", ACCOUNT_OWNER "-lookup", ACCOUNT_OWNER "-auth", ACCOUNT_OWNER "-log",
    ACCOUNT_OWNER "-mail",   ACCOUNT_OWNER "-keys",   ACCOUNT_OWNER "-fetch",  ACCOUNT_OWNER "-tlsrpt",
    ACCOUNT_OWNER "-pam",    ACCOUNT_OWNER "-imapd",  ACCOUNT_OWNER "-pop3d",
};

bool accounts_find(const char *mail_owner, const char *suffix, uid_t *user, gid_t *group) {
    char name[64];
    *user = geteuid();
    *group = getegid();
    if (geteuid() != 0)
        return true;
    const struct passwd *account = getpwnam(mail_owner);
    if (account != NULL && account->pw_uid == 0)
        return true;
    snprintf(name, sizeof name, "%s-%s", mail_owner, suffix);
    account = getpwnam(name);
    if (account == NULL) {
        tern_complain("there is no account %s", name);
        return false;
    }
    *user = account->pw_uid;
    *group = account->pw_gid;
    return true;
}

static bool run(const char *const *arguments, struct failure *failure) {
    static char path[] = "PATH=/usr/sbin:/sbin:/usr/bin:/bin";
    char *environment[] = {path, NULL};
    static const char *const directories[] = {"/usr/sbin", "/sbin", "/usr/bin"};
    int status = 0;
    pid_t pid = fork();
    if (pid < 0)
        return failure_set_errno(failure, errno, "fork");
    if (pid == 0) {
        for (size_t i = 0; i < ARRAY_LENGTH(directories); i++) {
            char program[100];
            snprintf(program, sizeof program, "%s/%s", directories[i], arguments[0]);
            execve(program, (char *const *)(uintptr_t)arguments, environment);
        }
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return failure_set_errno(failure, errno, "waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return failure_set(failure, "%s %s failed", arguments[0], arguments[1]);
    return true;
}

static bool group_exists(const char *name) { return getgrnam(name) != NULL; }
static bool user_exists(const char *name) { return getpwnam(name) != NULL; }

/* Another program may hold the account files' lock, or be faster with the same account (several
 * instances made at once): what counts is that the account is there in the end. */
static bool make_if_absent(const char *name, bool (*exists)(const char *name), const char *const *arguments,
                           struct failure *failure) {
    for (unsigned attempt = 0; !exists(name); attempt++) {
        if (run(arguments, failure) || exists(name)) return true;
        if (attempt == MAKE_ATTEMPTS) return failure_prefix(failure, "account %s", name);
        nanosleep(&(struct timespec){.tv_nsec = MAKE_PAUSE_MS * 1000000L}, NULL);
    }
    return true;
}

bool accounts_make(struct failure *failure) {
    const char *const group[] = {"groupadd", "--system", ACCOUNT_GROUP_DROP, NULL};
    if (!make_if_absent(ACCOUNT_GROUP_DROP, group_exists, group, failure)) return false;
    for (size_t i = 0; i < ARRAY_LENGTH(accounts); i++) {
        const char *const user[] = {"useradd", "--system", "--user-group", "--no-create-home", "--home-dir",
                                    "/nonexistent", "--shell", "/usr/sbin/nologin", accounts[i], NULL};
        if (!make_if_absent(accounts[i], user_exists, user, failure)) return false;
    }
    return true;
}
