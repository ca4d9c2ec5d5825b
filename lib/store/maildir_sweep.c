/* Cleaning tmp/: see maildir_sweep.h. */
#include "maildir_sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "compiler.h"

#define OLD    ((int64_t)36 * 3600)        /* seconds */
#define AGAIN  ((int64_t)24 * 3600 * 1000) /* ms */
#define PLACES 256

/* Which Maildirs were looked at, by a hash: another's place is taken. */
struct place {
    dev_t device;
    ino_t inode;
    deadline until;
};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct place places[PLACES];

static bool is_due(int directory) {
    struct stat status;
    if (fstat(directory, &status) < 0) return false;
    struct place *place = &places[(status.st_ino ^ status.st_dev) % PLACES];
    pthread_mutex_lock(&mutex);
    bool due = place->device != status.st_dev || place->inode != status.st_ino || deadline_left(place->until) == 0;
    if (due) *place = (struct place){status.st_dev, status.st_ino, deadline_in(AGAIN)};
    pthread_mutex_unlock(&mutex);
    return due;
}

static bool is_old(const struct stat *status, int64_t now) {
    return S_ISREG(status->st_mode) && status->st_mtim.tv_sec < now - OLD && status->st_atim.tv_sec < now - OLD;
}

void maildir_sweep(int directory) {
    if (!is_due(directory)) return;
    int tmp = openat(directory, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *listing = tmp < 0 ? NULL : fdopendir(tmp);
    if (!listing && tmp >= 0) close(tmp);
    if (!listing) return;
    int64_t now = clock_date() / CLOCK_SECOND;
    struct stat status;
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (entry->d_name[0] != '.' && fstatat(tmp, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            is_old(&status, now))
            (void)unlinkat(tmp, entry->d_name, 0);
    closedir(listing);
}
