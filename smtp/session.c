/* See session.h. */
#include "session.h"
#include "log.h"
#include "service.h"
#include "smtp.h"
#include "task.h"
#include <errno.h>

#define REPLY_LINE_MAX      4096
#define FULL_QUEUE_PATIENCE 60000 /* ms for a UNIX socket whose queue is full, if no limit is set */

static bool is_local_fault(int error_number) {
    return error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM || error_number == ENOBUFS ||
           error_number == EIO || error_number == ECANCELED;
}

/* ---- replies */

bool connection_lost(struct connection *connection, enum stream_result result) {
    switch (result) {
    case STREAM_TIMEOUT:
        connection->loss = LOSS_TIMEOUT;
        break;
    case STREAM_CANCELLED:
        connection->loss = LOSS_CANCELLED;
        break;
    case STREAM_OK:
    case STREAM_EOF:
    case STREAM_ERROR:
        /* Ours or the other side's? A connection that is used again is replaced without a word. */
        if (result == STREAM_ERROR && is_local_fault(stream_failure(connection->stream)->error_number))
            log_warning("connection to %s: %s", connection->peer, stream_failure(connection->stream)->text);
        connection->loss = LOSS_CLOSED;
        break;
    case STREAM_TOO_LONG:
    case STREAM_BARE_CR:
    case STREAM_BARE_LF:
    case STREAM_NUL:
        connection->loss = LOSS_PROTOCOL;
        break;
    }
    return false;
}

bool connection_read_reply(struct connection *connection, int64_t timeout) {
    enum smtp_reply_result more = SMTP_REPLY_MORE;
    stream_set_deadline(connection->stream, deadline_in(timeout));
    smtp_reply_clear(&connection->reply);
    while (more == SMTP_REPLY_MORE) {
        struct str line;
        enum stream_result result = stream_read_line(connection->stream, &line);
        if (result != STREAM_OK && result != STREAM_BARE_CR) return connection_lost(connection, result);
        more = smtp_reply_add(&connection->reply, line);
    }
    if (more != SMTP_REPLY_DONE) return connection_lost(connection, STREAM_NUL);
    if (connection->reply.code == 421) connection->closing = true;
    return true;
}

/* ---- connecting */

void host_relay(const struct host *host, struct buf *text) {
    buf_printf(text, "%.*s[%.*s]", STR_ARGS(host->name), STR_ARGS(host->address));
    if (!endpoint_is_local(&host->endpoint)) buf_printf(text, ":%u", endpoint_port(&host->endpoint));
}

/* A UNIX socket cannot be seen from the empty root: master makes the connection. */
static int connect_local(struct smtp *smtp, const struct host *host, deadline until, struct failure *failure) {
    if (smtp->service) return service_connect_path(smtp->service, host->address, until, failure);
    return endpoint_connect(&host->endpoint, NULL, until, failure);
}

static int connect_to(struct smtp *smtp, const struct host *host, const char *relay, struct arena *arena,
                      struct trouble *trouble) {
    const struct endpoint *from =
        endpoint_is_ipv6(&host->endpoint) ? &smtp->settings.bind_ipv6 : &smtp->settings.bind_ipv4;
    deadline until = smtp->settings.connect_timeout ? deadline_in(smtp->settings.connect_timeout) : DEADLINE_NEVER;
    struct failure failure = {0};
    bool is_local = endpoint_is_local(&host->endpoint), bind = from->length && !is_local;
    if (is_local && until == DEADLINE_NEVER) until = deadline_in(FULL_QUEUE_PATIENCE); /* the kernel sets no limit */
    int descriptor = is_local ? connect_local(smtp, host, until, &failure)
                              : endpoint_connect(&host->endpoint, bind ? from : NULL, until, &failure);
    if (descriptor < 0 && bind && failure.error_number == EADDRNOTAVAIL && !smtp->config->smtp_bind_address_enforce) {
        log_warning("%s: connecting from any address instead", failure.text);
        descriptor = endpoint_connect(&host->endpoint, NULL, until, &failure);
    }
    if (descriptor >= 0) return descriptor;
    const char *words = failure.error_number ? strerror(failure.error_number) : failure.text;
    bool local = is_local_fault(failure.error_number);
    log_info("connect to %s: %s", relay, words);
    trouble_set(trouble, arena, local ? "4.3.0" : "4.4.1", "connect to %s: %s", relay, words);
    trouble->local = local;
    return -1;
}

static struct connection *connection_create(struct smtp *smtp, const struct host *host, const char *relay,
                                            int descriptor) {
    struct connection *connection = MEMORY_NEW(struct connection);
    struct buf peer = buf_make(0);
    buf_printf(&peer, "%.*s[%.*s]", STR_ARGS(host->name), STR_ARGS(host->address));
    connection->smtp = smtp;
    connection->stream = stream_create(descriptor, REPLY_LINE_MAX);
    stream_accept_bare_lf(connection->stream, true);
    connection->name = memory_copy_string(host->name);
    connection->peer = memory_copy_string(buf_str(&peer));
    connection->relay = memory_copy_string(str_from(relay));
    connection->reply = smtp_reply_make();
    connection->ehlo_text = buf_make(0);
    connection->opened = clock_monotonic();
    buf_free(&peer);
    return connection;
}

/* ---- hello */

struct greeting {
    struct connection *connection;
    struct str destination;
    bool detect_loop;
    struct arena *arena;
    struct trouble *trouble;
};

static bool refused(const struct greeting *greeting, enum smtp_stage stage) {
    const struct connection *connection = greeting->connection;
    struct reply_judgement judgement = reply_judge(stage, connection->reply.code, connection->reply.status,
                                                   connection->smtp->config->smtp_skip_5xx_greeting);
    if (judgement.verdict == REPLY_GOOD) return false;
    trouble_from_reply(greeting->trouble, greeting->arena, connection, stage, &judgement);
    return true;
}

static bool lost(const struct greeting *greeting, enum smtp_stage stage) {
    trouble_from_loss(greeting->trouble, greeting->arena, greeting->connection, stage);
    return false;
}

/* Sends one command of the handshake and reads the answer. */
static bool exchange(const struct greeting *greeting, enum smtp_stage stage, const char *verb) {
    struct connection *connection = greeting->connection;
    const struct smtp_settings *settings = &connection->smtp->settings;
    stream_set_deadline(connection->stream, deadline_in(settings->helo_timeout));
    enum stream_result result = stream_printf(connection->stream, "%s %.*s\r\n", verb, STR_ARGS(settings->helo_name));
    if (result == STREAM_OK) result = stream_flush(connection->stream);
    if (result != STREAM_OK)
        connection_lost(connection, result);
    else if (connection_read_reply(connection, settings->helo_timeout))
        return true;
    return lost(greeting, stage);
}

/* The server's name for itself, the first word of its answer to EHLO. */
static bool is_myself(const struct greeting *greeting) {
    const struct connection *connection = greeting->connection;
    struct str text = buf_str(&connection->reply.text), word;
    if (!str_next_word(&text, " \t\n", &word) || !str_equal_nocase(word, connection->smtp->config->myhostname))
        return false;
    log_warning("host %s replied to HELO/EHLO with my own hostname %.*s", connection->peer, STR_ARGS(word));
    if (!greeting->detect_loop) return false;
    trouble_set(greeting->trouble, greeting->arena, "5.4.6", "mail for %.*s loops back to myself",
                STR_ARGS(greeting->destination));
    trouble_name_host(greeting->trouble, greeting->arena, connection);
    return true;
}

static void learn_extensions(struct connection *connection) {
    connection->esmtp = true;
    buf_clear(&connection->ehlo_text);
    buf_append(&connection->ehlo_text, buf_str(&connection->reply.text));
    smtp_ehlo_parse(buf_str(&connection->ehlo_text), connection->smtp->settings.discard_extensions, &connection->ehlo);
}

/* EHLO, and HELO for a server that does not know it. 421 means what it says. */
static bool say_hello(const struct greeting *greeting, bool wants_ehlo) {
    struct connection *connection = greeting->connection;
    bool lmtp = connection->smtp->settings.lmtp;
    enum smtp_stage stage = lmtp ? STAGE_LHLO : STAGE_EHLO;
    if (lmtp || wants_ehlo) {
        if (!exchange(greeting, stage, lmtp ? "LHLO" : "EHLO")) return false;
        if (connection->reply.code / 100 == 2) {
            learn_extensions(connection);
            return lmtp || !is_myself(greeting); /* an LMTP server may well be on this host */
        }
        if (lmtp || connection->closing) return !refused(greeting, stage);
    }
    return exchange(greeting, STAGE_HELO, "HELO") && !refused(greeting, STAGE_HELO) && !is_myself(greeting);
}

static bool handshake(const struct greeting *greeting) {
    struct connection *connection = greeting->connection;
    const struct config *config = connection->smtp->config;
    if (!connection_read_reply(connection, connection->smtp->settings.helo_timeout))
        return lost(greeting, STAGE_GREETING);
    if (refused(greeting, STAGE_GREETING)) return false;
    bool offered = str_find_str(buf_str(&connection->reply.text), STR("ESMTP")) != STR_NONE;
    if (!say_hello(greeting, !config->smtp_never_send_ehlo && (config->smtp_always_send_ehlo || offered))) return false;
    /* Here, between EHLO and MAIL, is the place of STARTTLS: with an empty input buffer
     * stream_set_transport, then say_hello anew, with all that was learned forgotten. */
    if (stream_pending(connection->stream) == 0) return true;
    connection->loss = LOSS_PROTOCOL; /* an answer to what was not asked */
    return lost(greeting, connection->smtp->settings.lmtp ? STAGE_LHLO : STAGE_EHLO);
}

struct connection *session_open(struct smtp *smtp, const struct host *host, struct str destination, bool detect_loop,
                                struct arena *arena, struct trouble *trouble) {
    struct buf relay = buf_make(0);
    struct connection *connection = NULL;
    host_relay(host, &relay);
    int descriptor = connect_to(smtp, host, buf_string(&relay), arena, trouble);
    if (descriptor >= 0) {
        connection = connection_create(smtp, host, buf_string(&relay), descriptor);
        struct greeting greeting = {connection, destination, detect_loop, arena, trouble};
        if (!handshake(&greeting)) {
            if (connection->loss == LOSS_NONE)
                connection_quit(connection);
            else
                connection_close(&connection);
            connection = NULL;
        }
    }
    buf_free(&relay);
    return connection;
}

/* ---- the end */

bool connection_reset(struct connection *connection) {
    if (!connection->needs_reset) return true;
    int64_t timeout = connection->smtp->settings.rset_timeout;
    stream_set_deadline(connection->stream, deadline_in(timeout));
    connection->needs_reset = false;
    enum stream_result result = stream_write(connection->stream, STR("RSET\r\n"));
    if (result == STREAM_OK) result = stream_flush(connection->stream);
    if (result != STREAM_OK) return connection_lost(connection, result);
    return connection_read_reply(connection, timeout) && connection->reply.code / 100 == 2;
}

void connection_close(struct connection **connection) {
    struct connection *gone = *connection;
    if (!gone) return;
    stream_destroy(&gone->stream);
    smtp_reply_free(&gone->reply);
    buf_free(&gone->ehlo_text);
    MEMORY_FREE(gone->name);
    MEMORY_FREE(gone->peer);
    MEMORY_FREE(gone->relay);
    MEMORY_FREE(*connection);
}

static void quit(void *argument) {
    struct connection *connection = argument;
    const struct smtp_settings *settings = &connection->smtp->settings;
    stream_set_deadline(connection->stream, deadline_in(settings->quit_timeout));
    if (stream_write(connection->stream, STR("QUIT\r\n")) == STREAM_OK &&
        stream_flush(connection->stream) == STREAM_OK && !settings->skip_quit_response &&
        connection_read_reply(connection, settings->quit_timeout)) {
        /* Whatever it says, that was all. */
    }
    connection_close(&connection);
}

void connection_quit(struct connection *connection) {
    if (connection->loss != LOSS_NONE || connection->closing || !task_start("quit", quit, connection))
        connection_close(&connection);
}
