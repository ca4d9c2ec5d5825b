/* See front_watches.h. */
#include "front_watches.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/time.h>
#include <unistd.h>

#include "memory.h"
#include "task.h"

#define PLACE_BUCKETS ((size_t)8192)
#define OWNER_BUCKETS ((size_t)1024)
#define ENDED_KEPT    ((size_t)1024) /* watches that were ended last */
#define RESTING_MAX   ((size_t)4096) /* instances without a client */
#define REST_TIME     200            /* ms */
#define SLOW_CLOSE    2              /* ms */
#define SLOW_CLOSES   2              /* at once */
#define READS         16             /* of an instance, before others get their turn */
#define READ_TIME     50             /* ms that they may take */

struct watch_instance {
    struct watch_instance *next; /* in its bucket */
    struct front_watches *watches;
    uint64_t owner;
    int descriptor;
    size_t clients; /* who idle, and whose sessions have a copy */
    struct watch_instance *resting_next, **resting_link; /* while there are none */
    uint64_t rests_since;                                /* turn of the timer */
    bool broken;    /* it is of no use: sessions make another one */
    struct loop_watch *loop_watch;
};

struct front_watches {
    void (*changed)(struct front_watcher *watcher);
    struct watch_place *places[PLACE_BUCKETS];
    struct watch_instance *instances[OWNER_BUCKETS];
    struct watch_instance *resting;
    size_t resting_count;
    struct loop_timer *rest_timer;
    uint64_t rest_turn;
    /* A session may add a watch that is there already, and be told that it has it, while this front ends it or drops
     * an event of it: such numbers, which the kernel does not give out again, are kept until the session is back. */
    struct {
        const struct watch_instance *instance;
        int watch;
    } ended[ENDED_KEPT];
    uint64_t ended_count;
};

/* ---- places */

static struct watch_place **bucket_of(struct front_watches *watches, const struct watch_instance *instance, int watch) {
    uint64_t hash = ((uint64_t)(uintptr_t)instance >> 4) * 0x9E3779B97F4A7C15u + (uint64_t)(uint32_t)watch;
    return &watches->places[(size_t)(hash ^ hash >> 32) % PLACE_BUCKETS];
}

static void end_watch(struct front_watches *watches, const struct watch_instance *instance, int watch) {
    if (inotify_rm_watch(instance->descriptor, watch) < 0) return; /* it had gone with its file */
    size_t at = (size_t)(watches->ended_count++ % ENDED_KEPT);
    watches->ended[at].instance = instance;
    watches->ended[at].watch = watch;
}

static bool has_been_ended(const struct front_watches *watches, const struct front_watcher *watcher, int watch) {
    uint64_t since = watches->ended_count - watcher->lent_at;
    if (since > ENDED_KEPT) return true; /* nobody knows any more */
    for (uint64_t i = 1; i <= since; i++) {
        size_t at = (size_t)((watches->ended_count - i) % ENDED_KEPT);
        if (watches->ended[at].instance == watcher->instance && watches->ended[at].watch == watch) return true;
    }
    return false;
}

static bool is_watched(struct front_watches *watches, const struct watch_instance *instance, int watch) {
    for (const struct watch_place *place = *bucket_of(watches, instance, watch); place; place = place->next)
        if (place->watch == watch && place->watcher->instance == instance) return true;
    return false;
}

static void stop_listening(struct front_watches *watches, struct front_watcher *watcher) {
    for (size_t i = 0; i < watcher->count; i++) {
        struct watch_place *gone = &watcher->places[i], **link = bucket_of(watches, watcher->instance, gone->watch);
        while (*link != gone)
            link = &(*link)->next;
        *link = gone->next;
        if (!is_watched(watches, watcher->instance, gone->watch)) end_watch(watches, watcher->instance, gone->watch);
    }
    watcher->count = 0;
}

/* False: one of them is none any longer. */
static bool listen_to(struct front_watches *watches, struct front_watcher *watcher, struct str numbers) {
    struct str word;
    uint64_t number;
    bool good = true;
    while (watcher->count < FRONT_WATCHES_MAX && str_next_word(&numbers, " ", &word)) {
        if (!str_to_u64(word, INT_MAX, &number)) return false;
        if (!is_watched(watches, watcher->instance, (int)number) && has_been_ended(watches, watcher, (int)number))
            good = false;
        struct watch_place *place = &watcher->places[watcher->count++];
        struct watch_place **bucket = bucket_of(watches, watcher->instance, (int)number);
        *place = (struct watch_place){.next = *bucket, .watcher = watcher, .watch = (int)number};
        *bucket = place;
    }
    return good;
}

/* ---- events */

static void tell(struct watch_instance *instance, const struct inotify_event *event) {
    struct front_watches *watches = instance->watches;
    bool known = false;
    for (struct watch_place *place = *bucket_of(watches, instance, event->wd); place; place = place->next) {
        if (place->watch != event->wd || place->watcher->instance != instance) continue;
        watches->changed(place->watcher);
        known = true;
    }
    if (!known && event->wd >= 0 && !(event->mask & IN_IGNORED)) end_watch(watches, instance, event->wd);
}

/* Nobody knows whose events there were: everybody's. */
static void tell_all(struct watch_instance *instance) {
    struct front_watches *watches = instance->watches;
    for (size_t i = 0; i < PLACE_BUCKETS; i++)
        for (struct watch_place *place = watches->places[i]; place; place = place->next)
            if (place->watcher->instance == instance) watches->changed(place->watcher);
    watches->ended_count += ENDED_KEPT + 1; /* and of those who come back */
}

/* False: these are no events. */
static bool tell_events(struct watch_instance *instance, const char *events, size_t length) {
    struct inotify_event event;
    for (size_t at = 0; at < length; at += sizeof event + event.len) {
        if (length - at < sizeof event) return false;
        memcpy(&event, events + at, sizeof event);
        if (event.len > length - at - sizeof event) return false;
        if (event.mask & IN_Q_OVERFLOW)
            tell_all(instance);
        else
            tell(instance, &event);
    }
    return true;
}

static void alarm_came(int number) {
    (void)number;
}

/* 0: none. */
static void set_alarm(long milliseconds) {
    const struct timeval every = {.tv_usec = milliseconds * 1000};
    const struct itimerval timer = {.it_interval = every, .it_value = every};
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

/* Sessions share the descriptor. One that was taken over could have it block, and read away what we were told of. */
static void instance_speaks(int descriptor, void *argument) {
    struct watch_instance *instance = argument;
    char events[4096];
    ssize_t got = 1;
    bool good = true;
    struct sigaction interrupt = {.sa_handler = alarm_came}, before; /* no SA_RESTART: it ends a read */
    sigaction(SIGALRM, &interrupt, &before);                         /* else it ends a process that hangs */
    set_alarm(READ_TIME);
    for (int i = 0; i < READS && good && (got = read(descriptor, events, sizeof events)) > 0; i++)
        good = tell_events(instance, events, (size_t)got);
    if (got == 0 || (got < 0 && errno != EAGAIN)) good = false;
    set_alarm(0);
    sigaction(SIGALRM, &before, NULL);
    if (good) return;
    instance->broken = true;
    loop_watch_stop(&instance->loop_watch);
    tell_all(instance);
}

/* ---- all */

struct front_watches *front_watches_create(void (*changed)(struct front_watcher *watcher)) {
    struct front_watches *watches = MEMORY_NEW(struct front_watches);
    watches->changed = changed;
    return watches;
}

/* ---- instances */

static struct watch_instance **owner_bucket(struct front_watches *watches, uint64_t owner) {
    return &watches->instances[(size_t)owner % OWNER_BUCKETS];
}

static struct watch_instance *find_instance(const struct front_watches *watches, uint64_t owner) {
    struct watch_instance *instance = watches->instances[(size_t)owner % OWNER_BUCKETS];
    while (instance && (instance->owner != owner || instance->broken))
        instance = instance->next;
    return instance;
}

static struct watch_instance *add_instance(struct front_watches *watches, uint64_t owner, int descriptor) {
    struct watch_instance *instance = MEMORY_NEW(struct watch_instance), **bucket = owner_bucket(watches, owner);
    *instance = (struct watch_instance){.next = *bucket, .watches = watches, .owner = owner, .descriptor = descriptor};
    *bucket = instance;
    instance->loop_watch = loop_watch_readable(descriptor, instance_speaks, instance);
    return instance;
}

static void take_from_rest(struct watch_instance *instance) {
    *instance->resting_link = instance->resting_next;
    if (instance->resting_next) instance->resting_next->resting_link = instance->resting_link;
    instance->resting_next = NULL;
    instance->resting_link = NULL;
    instance->watches->resting_count--;
}

static void remove_instance(struct watch_instance *instance) {
    struct watch_instance **link = owner_bucket(instance->watches, instance->owner);
    while (*link != instance)
        link = &(*link)->next;
    *link = instance->next;
    if (instance->resting_link) take_from_rest(instance);
    if (instance->loop_watch) loop_watch_stop(&instance->loop_watch);
    close(instance->descriptor);
    MEMORY_FREE(instance);
}

/* ---- rest
 *
 * Who closes an instance waits, inside the kernel, until all watches are gone that anybody has just ended: some 10 ms,
 * in which a front would serve nobody, and for each of very many clients that go at once. A moment later there is
 * nothing to wait for. */

static void rest_is_over(void *argument) {
    struct front_watches *watches = argument;
    unsigned slow = 0;
    watches->rest_turn++;
    for (struct watch_instance *instance = watches->resting, *next; instance && slow < SLOW_CLOSES; instance = next) {
        next = instance->resting_next;
        if (instance->rests_since + 1 >= watches->rest_turn) continue;
        deadline begun = clock_monotonic();
        remove_instance(instance);
        slow += clock_monotonic() - begun >= SLOW_CLOSE;
    }
    if (!watches->resting) loop_timer_stop(&watches->rest_timer);
}

static void let_rest(struct watch_instance *instance) {
    struct front_watches *watches = instance->watches;
    if (instance->broken || watches->resting_count >= RESTING_MAX) {
        remove_instance(instance);
        return;
    }
    if (instance->loop_watch) loop_watch_stop(&instance->loop_watch);
    instance->rests_since = watches->rest_turn;
    instance->resting_next = watches->resting;
    instance->resting_link = &watches->resting;
    if (watches->resting) watches->resting->resting_link = &instance->resting_next;
    watches->resting = instance;
    watches->resting_count++;
    if (!watches->rest_timer) watches->rest_timer = loop_timer_start(REST_TIME, REST_TIME, rest_is_over, watches);
}

static void wake_up(struct watch_instance *instance) {
    if (!instance->resting_link) return;
    take_from_rest(instance);
    instance->loop_watch = loop_watch_readable(instance->descriptor, instance_speaks, instance);
}

void front_watches_free(struct front_watches **watches) {
    if (!*watches) return;
    loop_timer_stop(&(*watches)->rest_timer);
    while ((*watches)->resting)
        remove_instance((*watches)->resting);
    MEMORY_FREE(*watches);
}

/* ---- clients */

bool front_watches_has(const struct front_watches *watches, uint64_t owner) {
    return find_instance(watches, owner) != NULL;
}

int front_watches_lend(struct front_watches *watches, struct front_watcher *watcher, uint64_t owner) {
    if (watcher->instance && watcher->instance->broken) front_watches_leave(watches, watcher);
    if (watcher->instance) {
        stop_listening(watches, watcher);
    } else if ((watcher->instance = find_instance(watches, owner)) != NULL) {
        watcher->instance->clients++;
        wake_up(watcher->instance);
    }
    watcher->lent_at = watches->ended_count;
    return watcher->instance ? watcher->instance->descriptor : -1;
}

void front_watches_lent(struct front_watches *watches, struct front_watcher *watcher) {
    struct watch_instance *instance = watcher->instance;
    (void)watches;
    if (!instance || instance->clients > 1) return;
    watcher->instance = NULL;
    remove_instance(instance); /* the session has a copy: nobody waits for this */
}

bool front_watches_take(struct front_watches *watches, struct front_watcher *watcher, uint64_t owner, int descriptor,
                        struct str numbers) {
    if (descriptor < 0) {
        front_watches_leave(watches, watcher);
        return true;
    }
    if (watcher->instance) {
        close(descriptor); /* it is of the same instance */
    } else {
        watcher->instance = add_instance(watches, owner, descriptor);
        watcher->instance->clients = 1;
        watcher->lent_at = watches->ended_count; /* nobody else has had it */
    }
    return listen_to(watches, watcher, numbers) && !watcher->instance->broken;
}

void front_watches_leave(struct front_watches *watches, struct front_watcher *watcher) {
    struct watch_instance *instance = watcher->instance;
    if (!instance) return;
    stop_listening(watches, watcher);
    watcher->instance = NULL;
    if (--instance->clients == 0) let_rest(instance);
}
