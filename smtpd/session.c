/* session: one client, from the connection to its end, as a straight line.
 *
 * While a session waits for its client it holds its struct and a few texts: no
 * buffers, and a stack that is shallow. */
#include "log.h"
#include "proxy_protocol.h"
#include "smtpd.h"

#define LAST_WORD_TIME   5000  /* ms for the last reply to get out */
#define LINGER_TIME      2000  /* ms, and bytes, that are read away after it */
#define LINGER_BYTES     ((size_t)1 << 20)

static bool too_many_errors(struct session *session) {
    const struct config *config = session->smtpd->config;
    int64_t limit = config->smtpd_hard_error_limit;
    if (smtpd_is_stressed(session->smtpd) && config->smtpd_stress_hard_error_limit < limit)
        limit = config->smtpd_stress_hard_error_limit;
    if (session->errors < (uint64_t)limit) return false;
    session_log_end(session, "too many errors", -1);
    reply(session, 421, "4.7.0", "%.*s Error: too many errors", STR_ARGS(config->myhostname));
    return true;
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
    session_leave_limits(session);
    MEMORY_FREE(session->denied);
    buf_free(&session->helo);
    buf_free(&session->mechanisms);
    if (session->client.arena) arena_destroy(&session->client.arena);
    stream_destroy(&session->stream);
    MEMORY_FREE(session);
}
