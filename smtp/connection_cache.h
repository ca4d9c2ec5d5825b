/* connection_cache: sessions that wait a moment for the next message.
 *
 * Kept by server name, address, port and TLS plan. A connection waits at most the cache's
 * time limit; then it is closed with QUIT. It belongs to the cache while it
 * waits, to one delivery while it is used. */
#ifndef TERN_CONNECTION_CACHE_H
#define TERN_CONNECTION_CACHE_H

#include "clock.h"
#include "compiler.h"
#include "str.h"

struct connection;
struct loop_timer;

struct connection_cache {
    struct connection *newest, *oldest; /* by the moment they were put in */
    size_t count, limit;
    int64_t time_limit; /* ms */
    struct loop_timer *timer;
};

/* A live one to this server, opened by an equal plan (its key), that has logged in with this account (its key, see
 * login.h), or NULL: it is the caller's now. */
struct connection *connection_cache_take(struct connection_cache *cache, struct str relay, const uint8_t *tls_key,
                                         const uint8_t *login_key);
/* Keeps it, or, where there is no room, closes it. Takes it over. */
void connection_cache_put(struct connection_cache *cache, struct connection *connection);
/* Closes them all. */
void connection_cache_clear(struct connection_cache *cache);

#endif
