/* See connection_cache.h. */
#include "connection_cache.h"
#include "session.h"
#include "task.h"

static void unlink_connection(struct connection_cache *cache, struct connection *connection) {
    if (connection->newer)
        connection->newer->older = connection->older;
    else
        cache->newest = connection->older;
    if (connection->older)
        connection->older->newer = connection->newer;
    else
        cache->oldest = connection->newer;
    connection->newer = connection->older = NULL;
    cache->count--;
}

/* The time limit is the same for all, so the oldest is the next to go. */
static void expire(void *argument);

static void set_timer(struct connection_cache *cache) {
    if (cache->timer) loop_timer_stop(&cache->timer);
    if (cache->oldest) cache->timer = loop_timer_start(deadline_left(cache->oldest->idle_until) + 1, 0, expire, cache);
}

static void expire(void *argument) {
    struct connection_cache *cache = argument;
    while (cache->oldest && deadline_left(cache->oldest->idle_until) == 0) {
        struct connection *connection = cache->oldest;
        unlink_connection(cache, connection);
        connection_quit(connection);
    }
    set_timer(cache);
}

struct connection *connection_cache_take(struct connection_cache *cache, struct str relay, const uint8_t *tls_key,
                                         const uint8_t *login_key) {
    for (struct connection *at = cache->newest, *older; at; at = older) {
        older = at->older;
        if (memcmp(at->tls_key, tls_key, sizeof at->tls_key) != 0 ||
            memcmp(at->login_key, login_key, sizeof at->login_key) != 0 ||
            !str_equal_nocase(str_from(at->relay), relay))
            continue;
        unlink_connection(cache, at);
        /* An end, or a farewell (421): the server has had enough of it. */
        if (stream_pending(at->stream) == 0 && !stream_readable_now(at->stream)) return at;
        connection_close(&at);
    }
    return NULL;
}

void connection_cache_put(struct connection_cache *cache, struct connection *connection) {
    if (cache->count >= cache->limit) {
        connection_quit(connection);
        return;
    }
    connection->idle_until = deadline_in(cache->time_limit);
    connection->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = connection;
    else
        cache->oldest = connection;
    cache->newest = connection;
    cache->count++;
    if (!cache->timer) set_timer(cache);
}

void connection_cache_clear(struct connection_cache *cache) {
    while (cache->oldest) {
        struct connection *connection = cache->oldest;
        unlink_connection(cache, connection);
        connection_quit(connection);
    }
    if (cache->timer) loop_timer_stop(&cache->timer);
}
