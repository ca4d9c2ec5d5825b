/* One sync of a directory for all deliveries that wait for it: whoever comes while
 * one is under way waits for the next, which covers all that have come by then. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "folder_sync.h"
#include "memory.h"

/* A directory that somebody waits for. */
struct waited {
    struct waited *next;
    dev_t device;
    ino_t inode;
    unsigned users;
    bool running;
    uint64_t entered, synced, failed; /* tickets: given, known durable, covered by a failed sync */
    int error_number;
    pthread_cond_t changed;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct waited *all;

static struct waited *take(const struct stat *identity) {
    struct waited *waited = all;
    while (waited && (waited->device != identity->st_dev || waited->inode != identity->st_ino))
        waited = waited->next;
    if (!waited) {
        waited = MEMORY_NEW(struct waited);
        waited->device = identity->st_dev;
        waited->inode = identity->st_ino;
        pthread_cond_init(&waited->changed, NULL);
        waited->next = all;
        all = waited;
    }
    waited->users++;
    return waited;
}

static void give_back(struct waited *waited) {
    if (--waited->users > 0) return;
    struct waited **link = &all;
    while (*link != waited)
        link = &(*link)->next;
    *link = waited->next;
    pthread_cond_destroy(&waited->changed);
    MEMORY_FREE(waited);
}

/* Called and left with the mutex held. */
static void sync_for_all(struct waited *waited, int directory) {
    uint64_t covered = waited->entered;
    waited->running = true;
    pthread_mutex_unlock(&mutex);
    int error_number = fsync(directory) == 0 ? 0 : errno;
    pthread_mutex_lock(&mutex);
    waited->running = false;
    if (error_number) {
        waited->failed = covered;
        waited->error_number = error_number;
    } else {
        waited->synced = covered;
    }
    pthread_cond_broadcast(&waited->changed);
}

bool directory_sync(int directory, const struct stat *identity, int *error_number) {
    pthread_mutex_lock(&mutex);
    struct waited *waited = take(identity);
    uint64_t ticket = ++waited->entered;
    while (waited->synced < ticket && waited->failed < ticket) {
        if (waited->running)
            pthread_cond_wait(&waited->changed, &mutex);
        else
            sync_for_all(waited, directory);
    }
    /* A later sync that went well says nothing about what an earlier one lost. */
    bool good = waited->failed < ticket;
    if (!good) *error_number = waited->error_number;
    give_back(waited);
    pthread_mutex_unlock(&mutex);
    return good;
}
