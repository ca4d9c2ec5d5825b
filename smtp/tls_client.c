/* See tls_client.h. */
#include "tls_client.h"
#include "keys.h"
#include "log.h"
#include "session.h"
#include "smtp.h"
#include "tls_sessions.h"
#include "tls_suite.h"

#define CONTEXTS_MAX  100    /* kinds of plans; more than that is no configuration that anybody wrote */
#define CONTEXT_LIFE  600000 /* ms, where we show certificates of our own */
#define KEYS_PATIENCE 30000  /* ms */

struct kept_context {
    struct tls_context *context;
    deadline good_until;
};

struct tls_client {
    struct smtp *smtp;
    struct str roots;
    struct map *contexts; /* struct kept_context by protocols, ciphers and whether roots are wanted */
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
        struct kept_context *kept = value;
        map_remove(client->contexts, key);
        tls_context_release(&kept->context);
        MEMORY_FREE(kept);
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

/* The certificates that we show are held by keys; a renewed one is seen when the context is made anew. */
static struct tls_context *make_context(struct tls_client *client, const struct tls_plan *plan,
                                        struct failure *failure) {
    struct smtp *smtp = client->smtp;
    struct arena *arena = arena_create(0);
    struct tls_client_options options = {.roots = wants_roots(plan) ? client->roots : STR_EMPTY,
                                         .verify_depth = smtp->settings.tls.verify_depth};
    struct tls_context *context = NULL;
    if (tls_suite_read(smtp->config, plan->protocols, plan->grade, plan->exclude, arena, &options.suite, failure))
        context = smtp->service && smtp->settings.tls.has_certificate
                      ? keys_client_context(smtp->service, &options, deadline_in(KEYS_PATIENCE), failure)
                      : tls_client_context(&options, failure);
    arena_destroy(&arena);
    return context;
}

/* Takes the context over. Another task may have made one meanwhile. */
static void keep_context(struct tls_client *client, struct str key, struct tls_context *context) {
    struct kept_context *kept = map_get(client->contexts, key);
    bool renews = client->smtp->settings.tls.has_certificate;
    if (!kept) {
        if (map_count(client->contexts) >= CONTEXTS_MAX) drop_contexts(client);
        kept = MEMORY_NEW(struct kept_context);
        map_put(client->contexts, key, kept);
    }
    tls_context_release(&kept->context);
    kept->context = context;
    kept->good_until = renews ? deadline_in(CONTEXT_LIFE) : DEADLINE_NEVER;
}

struct tls_context *tls_client_context_for(struct smtp *smtp, const struct tls_plan *plan, struct failure *failure) {
    struct tls_client *client = smtp->tls;
    struct buf key = buf_make(0);
    buf_printf(&key, "%.*s;%.*s;%.*s;%d", STR_ARGS(plan->protocols), STR_ARGS(plan->grade), STR_ARGS(plan->exclude),
               wants_roots(plan));
    const struct kept_context *kept = map_get(client->contexts, buf_str(&key));
    struct tls_context *context = NULL;
    if (kept && (kept->good_until == DEADLINE_NEVER || deadline_left(kept->good_until) > 0)) {
        context = tls_context_hold(kept->context);
    } else {
        context = make_context(client, plan, failure);
        if (context) keep_context(client, buf_str(&key), tls_context_hold(context));
    }
    buf_free(&key);
    return context;
}

/* ---- the handshake */

static const char *verdict(const struct tls_facts *facts, const struct tls_plan *plan) {
    if (!facts->has_certificate) return "Anonymous";
    if (facts->matched && plan->session.expect != TLS_EXPECT_NOTHING)
        return plan->level == TLS_LEVEL_HALF_DANE ? "Trusted" : "Verified"; /* its name may have been forged */
    return facts->trusted ? "Trusted" : "Untrusted";
}

void tls_client_describe(const struct connection *connection, const struct tls_plan *plan, struct buf *text) {
    const struct tls_facts *facts = tls_connection_facts(connection->tls);
    buf_printf(text, "%s TLS connection %s to %s: %s with cipher %s (%d/%d bits)%s%s", verdict(facts, plan),
               facts->reused ? "reused" : "established", connection->relay, facts->protocol, facts->cipher,
               facts->used_bits, facts->total_bits, facts->key_exchange, facts->signature);
}

static void log_connection(const struct connection *connection, const struct tls_plan *plan) {
    const struct tls_facts *facts = tls_connection_facts(connection->tls);
    bool accepted = tls_client_accepts(connection, plan);
    if (!accepted || (plan->report_only && plan->session.expect != TLS_EXPECT_NOTHING && !facts->matched))
        log_info("certificate verification failed for %s: %s", connection->relay, facts->reason);
    if (connection->smtp->settings.tls.log_level < 1) return;
    struct buf line = buf_make(1000);
    tls_client_describe(connection, plan, &line);
    log_info("%.*s", STR_ARGS(buf_str(&line)));
    buf_free(&line);
}

static void session_name(const struct connection *connection, const struct tls_plan *plan, struct buf *name) {
    buf_append(name, str_from(connection->relay));
    buf_append_char(name, '\n');
    buf_append_bytes(name, plan->key, sizeof plan->key);
}

/* Before TLS 1.3 a session is good more than once, and the server may give no other. */
static void keep_used(const struct connection *connection, const struct tls_plan *plan, struct str session) {
    const struct tls_facts *facts = tls_connection_facts(connection->tls);
    if (!facts->reused || strcmp(facts->protocol, "TLSv1.3") == 0 || !tls_client_accepts(connection, plan)) return;
    tls_sessions_put(connection->smtp->tls->sessions,
                     str_make(connection->session_name, connection->session_name_length), session);
}

bool tls_client_handshake(struct connection *connection, struct tls_context *context, const struct tls_plan *plan,
                          struct failure *failure) {
    struct tls_client *client = connection->smtp->tls;
    struct tls_client_session wanted = plan->session;
    struct buf name = buf_make(0), session = buf_make(0);
    session_name(connection, plan, &name);
    if (tls_sessions_take(client->sessions, buf_str(&name), &session)) wanted.session = buf_str(&session);
    stream_set_deadline(connection->stream, deadline_in(connection->smtp->settings.tls.starttls_timeout));
    bool good = tls_connect(connection->stream, context, &wanted, &connection->tls, failure);
    if (good) {
        connection->session_name = memory_copy_string(buf_str(&name));
        connection->session_name_length = name.length;
        keep_used(connection, plan, wanted.session);
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
