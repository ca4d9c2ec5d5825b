/* session: one client, from the connection to its end, as a straight line.
 *
 * While a session waits for its client it holds its struct and a few texts: no
 * buffers, and a stack that is shallow. */
#include "log.h"
#include "log_text.h"
#include "proxy_protocol.h"
#include "received.h"
#include "smtpd.h"
#include <errno.h>

#define DRAIN_IDLE_TIME  60000 /* ms that a client has for a command once the process drains */
#define LAST_WORD_TIME   5000  /* ms for the last reply to get out */
#define LINGER_TIME      2000  /* ms, and bytes, that are read away after it */
#define LINGER_BYTES     ((size_t)1 << 20)
#define NAME_LOOKUP_TIME 30000

/* ---- state */

enum session_state session_state(const struct session *session) {
    const struct transaction *transaction = session->transaction;
    if (!transaction) return (enum session_state)session->greeting;
    if (transaction->chunks) return SESSION_CHUNKS;
    return transaction->recipient_count ? SESSION_RCPT : SESSION_MAIL;
}

void session_reset(struct session *session) {
    transaction_free(&session->transaction);
    if (!session->forwarded) return;
    arena_destroy(&session->forwarded->arena);
    MEMORY_FREE(session->forwarded);
}

struct str session_queue_id(const struct session *session) {
    const struct transaction *transaction = session->transaction;
    return transaction && transaction->content ? content_queue_id(transaction->content) : STR("NOQUEUE");
}

const char *session_protocol(const struct session *session, bool utf8) {
    unsigned flags =
        (session->extended ? (unsigned)RECEIVED_EHLO : 0) | (session->smtpd->lmtp ? (unsigned)RECEIVED_LMTP : 0) |
        (session->tls ? (unsigned)RECEIVED_TLS : 0);
    return received_protocol(utf8 ? flags | RECEIVED_UTF8 : flags);
}

const char *session_trace_protocol(const struct session *session, bool utf8) {
    unsigned flags =
        (session->extended ? (unsigned)RECEIVED_EHLO : 0) | (session->smtpd->lmtp ? (unsigned)RECEIVED_LMTP : 0) |
        (session->tls ? (unsigned)RECEIVED_TLS : 0);
    if (session->client.login.length) flags |= RECEIVED_AUTHENTICATED;
    return received_protocol(utf8 ? flags | RECEIVED_UTF8 : flags);
}

int64_t session_timeout(const struct session *session) {
    const struct config *config = session->smtpd->config;
    int64_t most = config->smtpd_timeout * 1000;
    if (smtpd_is_stressed(session->smtpd) && config->smtpd_stress_timeout * 1000 < most)
        most = config->smtpd_stress_timeout * 1000;
    if (service_is_draining(session->smtpd->service) && most > DRAIN_IDLE_TIME) most = DRAIN_IDLE_TIME;
    return most;
}

/* ---- ends that the client did not choose */

static void log_end(const struct session *session, const char *what, int64_t bytes) {
    char after[60];
    if (bytes >= 0)
        snprintf(after, sizeof after, "%s (%lld bytes)", session->where, (long long)bytes);
    else
        snprintf(after, sizeof after, "%s", session->where);
    log_message(session_queue_id(session), "%s after %s from %.*s", what, after, STR_ARGS(session->client.label));
}

void session_broken(struct session *session, enum stream_result result, int64_t bytes) {
    if (session->closing && session->connection_lost) return;
    bool said = session->closing;
    session->closing = true;
    if (result == STREAM_TIMEOUT) {
        log_end(session, "timeout", bytes);
        if (!said)
            reply(session, 421, "4.4.2", "%.*s Error: timeout exceeded", STR_ARGS(session->smtpd->config->myhostname));
    } else if (result == STREAM_CANCELLED) {
        if (!said)
            reply(session, 421, "4.3.2", "%.*s Service shutting down and closing the connection",
                  STR_ARGS(session->smtpd->config->myhostname));
    } else {
        log_end(session, "lost connection", bytes);
        const struct failure *failure = stream_failure(session->stream);
        if (result == STREAM_ERROR && failure_is_local(failure->error_number) && failure->error_number != ETIMEDOUT)
            log_warning("connection of %.*s: %s", STR_ARGS(session->client.label), failure->text);
        session->connection_lost = true;
    }
}

bool session_refuse_pipelining(struct session *session) {
    struct str early = stream_peek(session->stream);
    if (early.length == 0) return false; /* the end of the connection, not bytes */
    if (!session->pipelined) {
        char shown[120];
        log_info("improper command pipelining after %s from %.*s: %s", session->where, STR_ARGS(session->client.label),
                 log_text(shown, sizeof shown, str_slice(early, 0, 100)));
    }
    session->pipelined = true;
    if (!session->smtpd->config->smtpd_forbid_unauth_pipelining) return false;
    session->closing = true;
    reply(session, 554, "5.5.0", "Error: SMTP protocol synchronization");
    return true;
}

static bool too_many_errors(struct session *session) {
    const struct config *config = session->smtpd->config;
    int64_t limit = config->smtpd_hard_error_limit;
    if (smtpd_is_stressed(session->smtpd) && config->smtpd_stress_hard_error_limit < limit)
        limit = config->smtpd_stress_hard_error_limit;
    if (session->errors < (uint64_t)limit) return false;
    log_end(session, "too many errors", -1);
    reply(session, 421, "4.7.0", "%.*s Error: too many errors", STR_ARGS(config->myhostname));
    return true;
}

/* ---- who it is */

static struct str keep(struct arena *arena, struct str text, size_t most) {
    struct buf safe = buf_make(0);
    struct str copy;
    log_text_append(&safe, str_slice(text, 0, most), 0);
    if (!arena_copy(arena, str_slice(buf_str(&safe), 0, most), &copy)) copy = STR_EMPTY;
    buf_free(&safe);
    return copy;
}

/* The client's own copy of all texts, and its label. */
static void copy_client(struct session *session, const struct client *from) {
    struct client client = *from;
    struct buf label = buf_make(0);
    client.arena = arena_create(65536);
    client.name = keep(client.arena, from->name, 250);
    client.reverse_name = keep(client.arena, from->reverse_name, 250);
    client.address = keep(client.arena, from->address, 60);
    client.login = keep(client.arena, from->login, 250);
    client.login_method = keep(client.arena, from->login_method, 32);
    buf_printf(&label, "%.*s[%.*s]", STR_ARGS(client.name), STR_ARGS(client.address));
    if (session->smtpd->config->smtpd_client_port_logging) buf_printf(&label, ":%u", client.port);
    client.label = keep(client.arena, buf_str(&label), 330);
    buf_free(&label);
    arena_destroy(&session->client.arena);
    session->client = client;
}

/* local_header_rewrite_clients: whose header is completed. */
static bool rewrites_headers(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct str word, rest = smtpd->config->local_header_rewrite_clients, address, addresses = smtpd->own_addresses;
    while (str_next_word(&rest, ", \t\r\n", &word)) {
        if (str_equal_nocase(word, STR("permit_mynetworks")) &&
            host_list_match(&smtpd->networks, smtpd->resolve, STR_EMPTY, session->client.address) == MATCH_YES)
            return true;
        if (str_equal_nocase(word, STR("permit_sasl_authenticated")) && session->client.login.length) return true;
        if (!str_equal_nocase(word, STR("permit_inet_interfaces"))) continue;
        while (str_next_word(&addresses, " ", &address))
            if (str_equal(address, session->client.address)) return true;
    }
    return false;
}

static void discard_extensions(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct str value;
    struct arena *arena;
    struct failure failure;
    bool found = false;
    session->discarded_extensions = smtpd->discarded_extensions;
    if (smtpd->config->smtpd_discard_ehlo_keyword_address_maps.length == 0) return;
    arena = arena_create(0);
    if (resolve_match(smtpd->resolve, STR("smtpd_discard_ehlo_keyword_address_maps"), session->client.address,
                      deadline_in(SMTPD_LOOKUP_TIME), arena, &found, &value, &failure) == RESOLVE_OK &&
        found)
        session->discarded_extensions = smtpd_extension_bits(value);
    arena_destroy(&arena);
}

/* Strict is the default; a client that is listed may end lines with a bare LF. */
static void choose_newlines(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct str mode = smtpd->config->smtpd_forbid_bare_newline;
    session->strict_newlines =
        str_equal(mode, STR("reject")) && host_list_match(&smtpd->newline_exclusions, smtpd->resolve,
                                                          session->client.name, session->client.address) != MATCH_YES;
    stream_accept_bare_lf(session->stream, !session->strict_newlines);
}

static void leave_limits(struct session *session) {
    limits_leave(session->smtpd->limits, session->rate_key);
    MEMORY_FREE(*(char **)(void *)&session->rate_key.data);
    session->rate_key.length = 0;
}

static bool refuse_connection(struct session *session, const char *what, uint64_t count) {
    limits_log(session, what, count);
    reply(session, 421, "4.7.0", "%.*s Error: too many connections from %.*s",
          STR_ARGS(session->smtpd->config->myhostname), STR_ARGS(session->client.address));
    return false;
}

static bool enter_limits(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct endpoint address;
    struct buf key = buf_make(16);
    uint64_t count = 0;
    leave_limits(session);
    if (endpoint_from_ip(session->client.address, 0, &address) &&
        host_list_match(&smtpd->event_exceptions, smtpd->resolve, session->client.name, session->client.address) !=
            MATCH_YES &&
        limits_key(smtpd->config, &address, &key))
        session->rate_key = str_make(memory_copy_string(buf_str(&key)), key.length);
    buf_free(&key);
    if (!limits_enter(smtpd->limits, session->rate_key, &count))
        return refuse_connection(session, "Connection concurrency", count);
    if (!limits_count(smtpd->limits, session->rate_key, LIMITED_CONNECTION, &count))
        return refuse_connection(session, "Connection rate", count);
    return true;
}

bool session_set_client(struct session *session, const struct client *client) {
    copy_client(session, client);
    session->rewrites_headers = rewrites_headers(session);
    choose_newlines(session);
    discard_extensions(session);
    return enter_limits(session);
}

void session_set_login(struct session *session, struct str login, struct str method) {
    struct client *client = &session->client;
    client->login = keep(client->arena, login, 250);
    client->login_method = keep(client->arena, method, 32);
    session->rewrites_headers = rewrites_headers(session);
}

/* Names of this machine are no business of DNS (RFC 6303 4.2, RFC 6761 6.3). */
static bool name_loopback(const struct session *session, struct client *client) {
    if (!endpoint_is_loopback(&session->peer)) return false;
    if (!str_equal(client->address, STR("127.0.0.1")) && !str_equal(client->address, STR("::1"))) return true;
    client->name = client->reverse_name = STR("localhost");
    client->name_status = client->reverse_status = NAME_VERIFIED;
    return true;
}

/* The verified name; "unknown" as long as DNS does not say otherwise. */
static void find_name(struct session *session, struct client *client, struct arena *arena) {
    struct failure failure = {0};
    struct str name = STR_EMPTY, unverified = STR_EMPTY;
    client->name_status = client->reverse_status = NAME_UNKNOWN;
    if (!session->smtpd->config->smtpd_peername_lookup || name_loopback(session, client)) return;
    if (resolve_client_name(session->smtpd->resolve, client->address, deadline_in(NAME_LOOKUP_TIME), arena, &name,
                            &unverified, &failure) != RESOLVE_OK) {
        client->name_status = client->reverse_status = NAME_UNDECIDED;
        return;
    }
    if (name.length) {
        client->name = client->reverse_name = name;
        client->name_status = client->reverse_status = NAME_VERIFIED;
    } else if (unverified.length) {
        client->reverse_name = unverified;
        client->reverse_status = NAME_VERIFIED;
        log_warning("hostname %.*s does not resolve to address %.*s", STR_ARGS(unverified), STR_ARGS(client->address));
    }
}

bool session_identify(struct session *session) {
    struct arena *arena = arena_create(65536);
    struct buf address = buf_make(0);
    struct client client = {
        .name = STR("unknown"), .reverse_name = STR("unknown"), .address = STR("127.0.0.1"),
        .login = STR_EMPTY, .login_method = STR_EMPTY};
    if (endpoint_is_local(&session->peer)) { /* a UNIX socket: whoever may connect is of this machine */
        client.name = client.reverse_name = STR("localhost");
    } else {
        endpoint_format_ip(&session->peer, &address);
        client.address = buf_str(&address);
        client.port = endpoint_port(&session->peer);
        find_name(session, &client, arena);
    }
    struct smtpd *smtpd = session->smtpd;
    bool good = session_set_client(session, &client);
    session->xclient_allowed =
        host_list_match(&smtpd->xclient_hosts, smtpd->resolve, client.name, client.address) == MATCH_YES;
    session->xforward_allowed =
        host_list_match(&smtpd->xforward_hosts, smtpd->resolve, client.name, client.address) == MATCH_YES;
    buf_free(&address);
    arena_destroy(&arena);
    return good;
}

/* To a client that expects TLS nothing can be said before it. */
static bool identify(struct session *session) {
    session->connection_lost = session->smtpd->config->smtpd_tls_wrappermode;
    bool good = session_identify(session);
    if (good) session->connection_lost = false;
    log_info("connect from %.*s", STR_ARGS(session->client.label));
    return good;
}

/* The PROXY header, when a proxy is in front: it, not the proxy, is our client. */
static bool pass_proxy(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    struct proxy_header header;
    struct buf address = buf_make(0);
    if (smtpd->config->smtpd_upstream_proxy_protocol.length == 0) return true;
    endpoint_format_ip(&session->peer, &address);
    bool believed = smtpd->proxy_hosts.value.length == 0 ||
                    host_list_match(&smtpd->proxy_hosts, smtpd->resolve, STR_EMPTY, buf_str(&address)) == MATCH_YES;
    stream_set_deadline(session->stream, deadline_in(smtpd->config->smtpd_upstream_proxy_timeout * 1000));
    bool good = !believed || proxy_read(session->stream, &header) == STREAM_OK;
    if (!good) log_warning("no PROXY header from %s: connection closed", buf_string(&address));
    if (good && believed && !header.local) session->peer = header.client;
    buf_free(&address);
    return good;
}

/* ---- the dialogue */

void session_greet(struct session *session) {
    struct refusal refusal;
    MEMORY_FREE(session->denied);
    if (policy_connect(session, &refusal)) {
        reply(session, 220, "", "%.*s", STR_ARGS(session->smtpd->config->smtpd_banner));
        return;
    }
    session->denied = MEMORY_NEW(struct refusal);
    *session->denied = refusal;
    reply_refusal(session, &refusal);
}

/* A line that is none. */
static void bad_line(struct session *session, enum stream_result result) {
    switch (result) {
    case STREAM_TOO_LONG:
        reply(session, 500, "5.5.2", "Error: line too long");
        return;
    case STREAM_NUL:
        reply(session, 500, "5.5.2", "Error: NUL in command");
        return;
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
        if (session->strict_newlines)
            content_refuse_newline(session, result == STREAM_BARE_CR);
        else
            reply(session, 500, "5.5.2", "Error: bad syntax");
        return;
    case STREAM_OK:
    case STREAM_EOF:
    case STREAM_TIMEOUT:
    case STREAM_CANCELLED:
    case STREAM_ERROR:
        break;
    }
    session_broken(session, result, -1);
}

void sessions_stop(struct service *service) {
    struct smtpd *smtpd = service_context(service);
    for (struct session *session = smtpd->waiting; session; session = session->next_waiting)
        task_cancel(session->task);
}

void session_enter_waiting(struct session *session) {
    struct session **first = &session->smtpd->waiting;
    session->next_waiting = *first;
    session->link_waiting = first;
    if (*first) (*first)->link_waiting = &session->next_waiting;
    *first = session;
}

void session_leave_waiting(struct session *session) {
    *session->link_waiting = session->next_waiting;
    if (session->next_waiting) session->next_waiting->link_waiting = session->link_waiting;
}

/* A command that arrives together with the stop gets 421 for its reply (RFC 5321 4.2.3): its
 * task is cancelled already and could not carry it out. */
enum stream_result session_read_line(struct session *session, struct str *line) {
    const struct service *service = session->smtpd->service;
    deadline until = deadline_in(session_timeout(session));
    if (service_is_stopping(service)) return STREAM_CANCELLED;
    stream_set_deadline(session->stream, until < session->ends ? until : session->ends);
    session_enter_waiting(session);
    enum stream_result result = stream_read_line(session->stream, line);
    session_leave_waiting(session);
    return result == STREAM_OK && service_is_stopping(service) ? STREAM_CANCELLED : result;
}

/* RFC 4954 4: the line of AUTH may be longer than those of other commands. */
static enum stream_result read_command(struct session *session, struct str *line) {
    const struct config *config = session->smtpd->config;
    size_t most = (size_t)config->line_length_limit, most_of_auth = (size_t)config->smtpd_sasl_response_limit;
    bool longer = sasl_is_offered(session) && session->client.login.length == 0 && most_of_auth > most;
    stream_set_line_limit(session->stream, longer ? most_of_auth : most);
    enum stream_result result = session_read_line(session, line);
    bool too_long = result == STREAM_OK && line->length + 2 > most && !str_starts_nocase(*line, STR("AUTH "));
    return too_long ? STREAM_TOO_LONG : result;
}

static void converse(struct session *session) {
    while (!session->closing && !too_many_errors(session)) {
        struct str line;
        enum stream_result result = read_command(session, &line);
        if (result == STREAM_OK)
            command_dispatch(session, line);
        else
            bad_line(session, result);
    }
}

/* All places but a few are taken and master may start no further process: those few hear it, the rest wait in the
 * kernel. */
static bool is_full(const struct smtpd *smtpd) {
    unsigned reserve =
        service_is_last(smtpd->service) && smtpd->session_limit >= 50 ? smtpd->session_limit / 50 : 0;
    return smtpd->sessions > smtpd->session_limit - reserve;
}

static void log_disconnect(const struct session *session) {
    struct buf line = buf_make(0);
    uint64_t succeeded = 0, tried = session->unknown;
    for (size_t i = 0; i < smtpd_command_count; i++) {
        if (session->tried[i] == 0) continue;
        succeeded += session->succeeded[i];
        tried += session->tried[i];
        buf_append_char(&line, ' ');
        for (const char *c = smtpd_commands[i].verb; *c; c++)
            buf_append_char(&line, ascii_lower(*c));
        buf_printf(&line, "=%u", session->succeeded[i]);
        if (session->succeeded[i] != session->tried[i]) buf_printf(&line, "/%u", session->tried[i]);
    }
    if (session->unknown) buf_printf(&line, " unknown=0/%u", session->unknown);
    buf_printf(&line, " commands=%llu", (unsigned long long)succeeded);
    if (succeeded != tried) buf_printf(&line, "/%llu", (unsigned long long)tried);
    log_info("disconnect from %.*s%s", STR_ARGS(session->client.label), buf_string(&line));
    buf_free(&line);
}

/* A connection closed over unread bytes is reset, and the reset may overtake the last
 * reply. So: no more from us, and what still comes is read away for a moment. */
static void linger(struct session *session) {
    size_t left = LINGER_BYTES;
    struct str bytes;
    if (stream_end_output(session->stream) != STREAM_OK || !stream_readable_now(session->stream)) return;
    stream_set_deadline(session->stream, deadline_in(LINGER_TIME));
    while (left > 0 && stream_read_some(session->stream, left, &bytes) == STREAM_OK)
        left -= bytes.length;
}

static void say_goodbye(struct session *session) {
    if (session->connection_lost) return;
    stream_set_deadline(session->stream, deadline_in(LAST_WORD_TIME));
    if (stream_flush(session->stream) == STREAM_OK) linger(session);
}

static bool speak_again(struct session *session) {
    session->connection_lost = false;
    return true;
}

/* TLS from the first byte. Where there is no certificate, nothing can be said either. */
static bool begin_wrapped(struct session *session) {
    if (!session->smtpd->config->smtpd_tls_wrappermode) return true;
    session->connection_lost = true;
    return session_start_tls(session, speak_again);
}

static void serve(struct session *session) {
    if (!pass_proxy(session)) return;
    if (identify(session) && begin_wrapped(session)) {
        if (is_full(session->smtpd)) {
            reply(session, 421, "4.3.2", "All server ports are busy");
        } else if (!stream_readable_now(session->stream) || !session_refuse_pipelining(session)) {
            session_greet(session);
            converse(session);
        }
    }
    say_goodbye(session);
    log_disconnect(session);
}

void session_serve(struct service *service, int connection, unsigned listener) {
    (void)listener;
    struct smtpd *smtpd = service_context(service);
    struct session *session = MEMORY_NEW(struct session);
    session->smtpd = smtpd;
    session->task = task_current();
    session->stream = stream_create(connection, (size_t)smtpd->config->line_length_limit);
    session->greeting = SESSION_NEW;
    session->where = "CONNECT";
    session->rate_key = STR_EMPTY;
    session->rate_key.data = NULL;
    session->ends = deadline_in(smtpd->config->smtpd_session_time_limit * 1000);
    smtpd->sessions++;
    if (endpoint_of_peer(connection, &session->peer)) serve(session);
    smtpd->sessions--;
    session_reset(session);
    leave_limits(session);
    MEMORY_FREE(session->denied);
    buf_free(&session->helo);
    buf_free(&session->mechanisms);
    if (session->client.arena) arena_destroy(&session->client.arena);
    stream_destroy(&session->stream);
    MEMORY_FREE(session);
}
