/* front_watches: how a front hears of changes for the clients that idle in it, by few inotify instances.
 *
 * A session adds watches for its mailbox and gives the instance to the front with the client. The kernel allows a user
 * 128 instances by default, so all sessions that run as the same user share one, as far as the front has one of them
 * when they begin: it goes along with the client, and comes back with the numbers of the watches. One that no other
 * client needs is the session's alone while it is at work: who closes the last descriptor of an instance waits for the
 * kernel, 10 ms and more, and a front has other clients. One whose last client is gone rests for a moment, and may be
 * lent again, until the kernel has nothing to do with it any more.
 *
 * Watches are ended before a session gets the client, or it would be woken by what it has done itself. */
#ifndef TERN_FRONT_WATCHES_H
#define TERN_FRONT_WATCHES_H

#include "compiler.h"
#include "str.h"

#define FRONT_WATCHES_MAX 3 /* of a client */

struct front_watches;
struct watch_instance;

struct watch_place {
    struct watch_place *next; /* in its bucket */
    struct front_watcher *watcher;
    int watch;
};

/* A client's part; all zero at first. */
struct front_watcher {
    struct watch_instance *instance; /* NULL: none that this front holds */
    size_t count;
    struct watch_place places[FRONT_WATCHES_MAX];
    uint64_t lent_at; /* how many watches had been ended when a session got the client */
};

/* changed: called from the loop for each client whose watch has an event; must not suspend. */
struct front_watches *front_watches_create(void (*changed)(struct front_watcher *watcher));
/* No client has an instance any longer; those that rest are closed. */
void front_watches_free(struct front_watches **watches);
/* A session that runs as owner gets the client, for whom nobody listens from here on. The descriptor to send along,
 * which stays the front's; -1: there is none, the session makes one if it needs it. */
int front_watches_lend(struct front_watches *watches, struct front_watcher *watcher, uint64_t owner);
/* The session has got the descriptor: what no other client needs is closed here. */
void front_watches_lent(struct front_watches *watches, struct front_watcher *watcher);
/* The client is back, with the session's descriptor (taken over; -1: none) and the numbers of its watches. False:
 * something may have happened that nobody will tell, so somebody has to look at once. */
bool front_watches_take(struct front_watches *watches, struct front_watcher *watcher, uint64_t owner, int descriptor,
                        struct str numbers);
/* It could not be watched: whether there is an instance by now that its session can be given. */
bool front_watches_has(const struct front_watches *watches, uint64_t owner);
/* The client is gone. */
void front_watches_leave(struct front_watches *watches, struct front_watcher *watcher);

#endif
