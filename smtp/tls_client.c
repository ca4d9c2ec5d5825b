/* See tls_client.h. */
#include "tls_client.h"
#include "log.h"
#include "session.h"
#include "smtp.h"
#include "tls_sessions.h"
#include "tls_suite.h"

#define CONTEXTS_MAX 100 /* kinds of plans; more than that is no configuration that anybody wrote */

struct tls_client {
    struct smtp *smtp;
    struct str roots;
    struct map *contexts; /* by protocols, ciphers and whether roots are wanted */
    struct tls_sessions *sessions;
};

struct tls_client *tls_client_create(struct smtp *smtp, struct str roots) {
    struct tls_client *client = MEMORY_NEW(struct tls_client);
    const struct tls_settings *settings = &smtp->settings.tls;
    client->smtp = smtp;
    client->roots = roots;
    client->contexts = map_create();
    client->sessions =
        tls_sessions_create(settings->session_timeout ? (size_t)settings->session_limit : 0, settings->session_timeout);
    return client;
}

static void drop_contexts(struct tls_client *client) {
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(client->contexts, &cursor, &key, &value)) {
        struct tls_context *context = value;
        map_remove(client->contexts, key);
        tls_context_release(&context);
    }
}

void tls_client_destroy(struct tls_client **client) {
    if (!*client) return;
    drop_contexts(*client);
    map_destroy(&(*client)->contexts);
    tls_sessions_destroy(&(*client)->sessions);
    MEMORY_FREE(*client);
}

/* ---- contexts */

/* TLSA records and fingerprints need no authorities. */
static bool wants_roots(const struct tls_plan *plan) {
    return plan->session.expect == TLS_EXPECT_NOTHING || plan->session.expect == TLS_EXPECT_NAME;
}

static struct tls_context *make_context(struct tls_client *client, const struct tls_plan *plan,
                                        struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct tls_client_options options = {.roots = wants_roots(plan) ? client->roots : STR_EMPTY,
                                         .verify_depth = client->smtp->settings.tls.verify_depth};
    struct tls_context *context = NULL;
    if (tls_suite_read(client->smtp->config, plan->protocols, plan->grade, plan->exclude, arena, &options.suite,
                       failure))
        context = tls_client_context(&options, failure);
    arena_destroy(&arena);
    return context;
}

/* Borrowed from the map; a connection holds it. */
static struct tls_context *find_context(struct tls_client *client, const struct tls_plan *plan,
                                        struct failure *failure) {
    struct buf key = buf_make(0);
    buf_printf(&key, "%.*s;%.*s;%.*s;%d", STR_ARGS(plan->protocols), STR_ARGS(plan->grade), STR_ARGS(plan->exclude),
               wants_roots(plan));
    struct tls_context *context = map_get(client->contexts, buf_str(&key));
    if (!context) {
        context = make_context(client, plan, failure);
        if (context && map_count(client->contexts) >= CONTEXTS_MAX) drop_contexts(client);
        if (context) map_put(client->contexts, buf_str(&key), context);
    }
    buf_free(&key);
    return context;
}

/* ---- the handshake */

const char *tls_client_verdict(const struct tls_facts *facts, const struct tls_plan *plan) {
    if (!facts->has_certificate) return "Anonymous";
    if (facts->matched && plan->session.expect != TLS_EXPECT_NOTHING)
        return plan->level == TLS_LEVEL_HALF_DANE ? "Trusted" : "Verified"; /* its name may have been forged */
    return facts->trusted ? "Trusted" : "Untrusted";
}

static void log_connection(const struct connection *connection, const struct tls_plan *plan) {
    const struct tls_facts *facts = tls_connection_facts(connection->tls);
    bool accepted = tls_client_accepts(connection, plan);
    if (!accepted || (plan->report_only && !facts->matched))
        log_info("certificate verification failed for %s: %s", connection->relay, facts->reason);
    if (connection->smtp->settings.tls.log_level < 1) return;
    log_info("%s TLS connection %s to %s: %s with cipher %s (%d/%d bits)%s%s", tls_client_verdict(facts, plan),
             facts->reused ? "reused" : "established", connection->relay, facts->protocol, facts->cipher,
             facts->used_bits, facts->total_bits, facts->key_exchange, facts->signature);
}

static void session_name(const struct connection *connection, const struct tls_plan *plan, struct buf *name) {
    buf_append(name, str_from(connection->relay));
    buf_append_char(name, '\n');
    buf_append_bytes(name, plan->key, sizeof plan->key);
}

bool tls_client_handshake(struct connection *connection, const struct tls_plan *plan, struct failure *failure) {
    struct tls_client *client = connection->smtp->tls;
    struct tls_context *context = find_context(client, plan, failure);
    struct tls_client_session wanted = plan->session;
    struct buf name = buf_make(0), session = buf_make(0);
    if (!context) {
        log_warning("TLS with %s: %s", connection->relay, failure->text);
        return false;
    }
    session_name(connection, plan, &name);
    if (tls_sessions_take(client->sessions, buf_str(&name), &session)) wanted.session = buf_str(&session);
    stream_set_deadline(connection->stream, deadline_in(connection->smtp->settings.tls.starttls_timeout));
    bool good = tls_connect(connection->stream, context, &wanted, &connection->tls, failure);
    if (good) {
        connection->session_name = memory_copy_string(buf_str(&name));
        connection->session_name_length = name.length;
        log_connection(connection, plan);
    } else {
        log_info("SSL_connect error to %s: %s", connection->relay, failure->text);
    }
    buf_free(&name);
    buf_free_secret(&session);
    return good;
}

bool tls_client_accepts(const struct connection *connection, const struct tls_plan *plan) {
    if (plan->session.expect == TLS_EXPECT_NOTHING || plan->report_only) return true;
    return tls_connection_facts(connection->tls)->matched;
}

void tls_client_keep_session(struct connection *connection) {
    struct buf session = buf_make(0);
    if (!connection->tls || connection->session_kept) return;
    if (tls_session_export(connection->tls, &session)) {
        connection->session_kept = true;
        tls_sessions_put(connection->smtp->tls->sessions,
                         str_make(connection->session_name, connection->session_name_length), buf_str(&session));
    }
    buf_free_secret(&session);
}
