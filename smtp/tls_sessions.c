/* See tls_sessions.h. */
#include "tls_sessions.h"
#include "clock.h"
#include "hash.h"
#include "memory.h"

#define SESSION_MAX ((size_t)32768) /* octets of one: with a chain of certificates in it */

/* In two lists: of all by age, and of those with the same name, the newest first. */
struct kept {
    struct kept *older, *newer;
    struct kept *next;
    deadline expires;
    struct str name;
    struct buf session;
};

struct tls_sessions {
    struct map *by_name; /* the first of each name */
    struct kept *oldest, *newest;
    size_t count, limit;
    int64_t lifetime;
};

struct tls_sessions *tls_sessions_create(size_t limit, int64_t lifetime) {
    struct tls_sessions *sessions = MEMORY_NEW(struct tls_sessions);
    sessions->by_name = map_create();
    sessions->limit = limit;
    sessions->lifetime = lifetime;
    return sessions;
}

static void unlink_age(struct tls_sessions *sessions, struct kept *kept) {
    if (kept->older)
        kept->older->newer = kept->newer;
    else
        sessions->oldest = kept->newer;
    if (kept->newer)
        kept->newer->older = kept->older;
    else
        sessions->newest = kept->older;
    sessions->count--;
}

static void unlink_name(struct tls_sessions *sessions, struct kept *kept) {
    struct kept *at = map_get(sessions->by_name, kept->name);
    if (at == kept) {
        if (kept->next)
            map_put(sessions->by_name, kept->name, kept->next);
        else
            map_remove(sessions->by_name, kept->name);
        return;
    }
    while (at->next != kept)
        at = at->next;
    at->next = kept->next;
}

static void drop(struct tls_sessions *sessions, struct kept *kept) {
    unlink_name(sessions, kept);
    unlink_age(sessions, kept);
    buf_free_secret(&kept->session);
    free((void *)(uintptr_t)kept->name.data);
    MEMORY_FREE(kept);
}

void tls_sessions_destroy(struct tls_sessions **sessions) {
    if (!*sessions) return;
    while ((*sessions)->oldest)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in make_room */
        drop(*sessions, (*sessions)->oldest);
    map_destroy(&(*sessions)->by_name);
    MEMORY_FREE(*sessions);
}

/* Room under the name and in all. */
static void make_room(struct tls_sessions *sessions, struct str name) {
    size_t of_name = 0;
    for (struct kept *at = map_get(sessions->by_name, name), *next; at; at = next) {
        next = at->next;
        if (++of_name >= TLS_SESSIONS_OF_ONE) drop(sessions, at);
    }
    while (sessions->count >= sessions->limit)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was dropped is in neither list any more */
        drop(sessions, sessions->oldest);
}

void tls_sessions_put(struct tls_sessions *sessions, struct str name, struct str session) {
    if (sessions->limit == 0 || session.length == 0 || session.length > SESSION_MAX) return;
    make_room(sessions, name);
    struct kept *kept = MEMORY_NEW(struct kept);
    kept->name = str_make(memory_copy_string(name), name.length);
    kept->session = buf_make(0);
    buf_append(&kept->session, session);
    kept->expires = deadline_in(sessions->lifetime);
    kept->older = sessions->newest;
    if (sessions->newest)
        sessions->newest->newer = kept;
    else
        sessions->oldest = kept;
    sessions->newest = kept;
    sessions->count++;
    kept->next = map_put(sessions->by_name, name, kept);
}

bool tls_sessions_take(struct tls_sessions *sessions, struct str name, struct buf *session) {
    while (sessions->oldest && deadline_left(sessions->oldest->expires) == 0)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in make_room */
        drop(sessions, sessions->oldest);
    struct kept *kept = map_get(sessions->by_name, name);
    if (!kept) return false;
    buf_append(session, buf_str(&kept->session));
    drop(sessions, kept);
    return true;
}

size_t tls_sessions_count(const struct tls_sessions *sessions) {
    return sessions->count;
}
