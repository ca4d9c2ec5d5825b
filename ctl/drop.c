/* drop: the set-gid program that writes into the drop folder while the server is down.
 *
 * Least code: standard input becomes a file, synced, and only then gets the name
 * under which pickup looks for it. It reads no configuration, obeys no environment and
 * links to no library of tern but the plainest. Where it runs with a group it was lent,
 * the folder is the built-in one whatever the caller says.
 *
 * Exit status (sysexits): 0 the file is durable, 64 usage, 65 not what sendmail sends,
 * 71 or 73 to 75 it is not there. */
#include "compiler.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define MAGIC   "tern-drop 1 "
#define LARGEST ((rlim_t)1 << 30)

static void make_name(char *name, size_t size) {
    unsigned long long random = 0;
    struct timespec now;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = (unsigned long long)getpid();
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, size, ".%lld-%llx", (long long)now.tv_sec, random);
}

/* Copies standard input; the first bytes must be the magic ones. False with errno 0 if they are not. */
static bool copy_input(int to) {
    static char bytes[65536];
    size_t have = 0;
    bool first = true;
    for (;;) {
        ssize_t got = read(STDIN_FILENO, bytes + have, sizeof bytes - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        have += (size_t)got;
        if (first && (have >= sizeof MAGIC - 1 || got == 0)) {
            errno = 0;
            if (have < sizeof MAGIC - 1 || memcmp(bytes, MAGIC, sizeof MAGIC - 1) != 0) return false;
            first = false;
        }
        if (first) continue;
        for (size_t done = 0; done < have;) {
            ssize_t written = write(to, bytes + done, have - done);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return false;
            done += (size_t)written;
        }
        have = 0;
        if (got == 0) return true;
    }
}

/* Readable by pickup's group, which is the folder's; nobody else reaches it. Lent that group, or owning
 * the folder, a file has it from the start; root's has not. */
static int make_file(int folder, const char *name) {
    struct stat folder_status, status;
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (file < 0) return -1;
    if (fstat(folder, &folder_status) == 0 && fstat(file, &status) == 0 &&
        (status.st_gid == folder_status.st_gid || fchown(file, (uid_t)-1, folder_status.st_gid) == 0))
        return file;
    unlinkat(folder, name, 0);
    close(file);
    return -1;
}

int main(int argument_count, char **arguments) {
    bool lent = getegid() != getgid() || geteuid() != getuid();
    const char *path = argument_count == 2 && !lent ? arguments[1] : TERN_QUEUE_DIRECTORY "/maildrop";
    const struct rlimit limit = {LARGEST, LARGEST};
    char name[64];
    if (argument_count > 2) return EX_USAGE;
    /* A half-written file must not be left where nobody removes it: a signal waits for the end. */
    static const int signals[] = {SIGINT,  SIGHUP,  SIGTERM, SIGQUIT, SIGPIPE,
                                  SIGXFSZ, SIGALRM, SIGUSR1, SIGUSR2, SIGTSTP};
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        signal(signals[i], SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    umask(0);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0) return EX_OSFILE;
    make_name(name, sizeof name);
    int file = make_file(folder, name);
    if (file < 0) return EX_CANTCREAT;
    errno = 0;
    bool good = copy_input(file);
    bool foreign = !good && errno == 0;
    good = good && fsync(file) == 0;
    good = close(file) == 0 && good;
    good = good && renameat(folder, name, folder, name + 1) == 0;
    if (!good) {
        unlinkat(folder, name, 0);
        return foreign ? EX_DATAERR : EX_TEMPFAIL;
    }
    if (fsync(folder) < 0) {
        unlinkat(folder, name + 1, 0);
        return EX_TEMPFAIL;
    }
    return EX_OK;
}
