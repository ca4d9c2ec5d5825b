/* See session.h. */
#include "session.h"
#include "log.h"
#include "service.h"
#include "smtp.h"
#include "task.h"
#include "tls_client.h"
#include "tls_result.h"
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

/* One line without its end, cut where it is too long: what says that a message was taken must not be lost for the
 * words that follow, or it would be sent again. */
static enum stream_result read_reply_line(struct stream *stream, struct buf *line) {
    enum stream_result result = STREAM_OK;
    buf_clear(line);
    while (result == STREAM_OK) {
        struct str bytes = stream_peek(stream);
        size_t end = str_find(bytes, '\n'), room = REPLY_LINE_MAX - line->length;
        buf_append(line, str_slice(str_slice(bytes, 0, end), 0, room));
        stream_consume(stream, end == STR_NONE ? bytes.length : end + 1);
        if (end != STR_NONE) break;
        result = stream_fill(stream, 0);
    }
    if (line->length > 0 && line->data[line->length - 1] == '\r') buf_truncate(line, line->length - 1);
    return result;
}

bool connection_read_reply(struct connection *connection, int64_t timeout) {
    enum smtp_reply_result more = SMTP_REPLY_MORE;
    enum stream_result result = STREAM_OK;
    struct buf line = buf_make(0);
    stream_set_deadline(connection->stream, deadline_in(timeout));
    smtp_reply_clear(&connection->reply);
    while (more == SMTP_REPLY_MORE && result == STREAM_OK) {
        result = read_reply_line(connection->stream, &line);
        if (result == STREAM_OK) more = smtp_reply_add(&connection->reply, buf_str(&line));
    }
    buf_free(&line);
    if (result != STREAM_OK) return connection_lost(connection, result);
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
                                            const struct tls_plan *plan, int descriptor) {
    struct connection *connection = MEMORY_NEW(struct connection);
    struct buf peer = buf_make(0);
    buf_printf(&peer, "%.*s[%.*s]", STR_ARGS(host->name), STR_ARGS(host->address));
    connection->smtp = smtp;
    connection->stream = stream_create(descriptor, REPLY_LINE_MAX);
    connection->name = memory_copy_string(host->name);
    connection->peer = memory_copy_string(buf_str(&peer));
    connection->relay = memory_copy_string(str_from(relay));
    connection->reply = smtp_reply_make();
    connection->ehlo_text = buf_make(0);
    connection->opened = clock_monotonic();
    connection->reusable = true;
    memcpy(connection->tls_key, plan->key, sizeof connection->tls_key);
    buf_free(&peer);
    return connection;
}

/* ---- hello */

struct greeting {
    struct connection *connection;
    const struct tls_question *question;
    const struct tls_plan *plan;
    struct tls_context *context; /* from prepare_tls on */
    bool plain;                  /* a second attempt: what the plan says of TLS is let go */
    bool try_plain;              /* out: TLS went wrong, and the plan lets mail go without */
    char said_name[256];         /* the server's, in its answer to EHLO */
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

/* Sends one command of the handshake and reads the answer. name: after the verb; empty: nothing. */
static bool exchange(const struct greeting *greeting, enum smtp_stage stage, const char *verb, struct str name) {
    struct connection *connection = greeting->connection;
    const struct smtp_settings *settings = &connection->smtp->settings;
    int64_t timeout = stage == STAGE_STARTTLS ? settings->tls.starttls_timeout : settings->helo_timeout;
    stream_set_deadline(connection->stream, deadline_in(timeout));
    enum stream_result result =
        stream_printf(connection->stream, "%s%s%.*s\r\n", verb, name.length ? " " : "", STR_ARGS(name));
    if (result == STREAM_OK) result = stream_flush(connection->stream);
    if (result != STREAM_OK)
        connection_lost(connection, result);
    else if (connection_read_reply(connection, timeout))
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
    if (!greeting->question->route->detect_loop) return false;
    trouble_set(greeting->trouble, greeting->arena, "5.4.6", "mail for %.*s loops back to myself",
                STR_ARGS(greeting->question->next_hop->host));
    trouble_name_host(greeting->trouble, greeting->arena, connection);
    return true;
}

static void learn_extensions(struct connection *connection) {
    connection->esmtp = true;
    buf_clear(&connection->ehlo_text);
    buf_append(&connection->ehlo_text, buf_str(&connection->reply.text));
    smtp_ehlo_parse(buf_str(&connection->ehlo_text), connection->smtp->settings.discard_extensions, &connection->ehlo);
}

/* For reports only: the name that the server gives itself. */
static void note_name(struct greeting *greeting) {
    struct str text = buf_str(&greeting->connection->ehlo_text), word = STR_EMPTY;
    if (str_next_word(&text, " \t\n", &word)) word = str_slice(word, 0, sizeof greeting->said_name - 1);
    memcpy(greeting->said_name, word.data, word.length);
    greeting->said_name[word.length] = '\0';
}

/* EHLO, and HELO for a server that does not know it. 421 means what it says. */
static bool say_hello(struct greeting *greeting, bool wants_ehlo) {
    struct connection *connection = greeting->connection;
    bool lmtp = connection->smtp->settings.lmtp;
    enum smtp_stage stage = lmtp ? STAGE_LHLO : STAGE_EHLO;
    struct str name = connection->smtp->settings.helo_name;
    if (lmtp || wants_ehlo) {
        if (!exchange(greeting, stage, lmtp ? "LHLO" : "EHLO", name)) return false;
        if (connection->reply.code / 100 == 2) {
            learn_extensions(connection);
            note_name(greeting);
            return lmtp || !is_myself(greeting); /* an LMTP server may well be on this host */
        }
        if (lmtp || connection->closing) return !refused(greeting, stage);
    }
    return exchange(greeting, STAGE_HELO, "HELO", name) && !refused(greeting, STAGE_HELO) && !is_myself(greeting);
}

/* What comes now was not asked for: a reply put in before TLS would be taken for one of the server's (lessons.md). */
static bool is_silent(const struct greeting *greeting, enum smtp_stage stage) {
    struct connection *connection = greeting->connection;
    bool early = connection->tls && connection->smtp->settings.tls.block_early_reply;
    if (stream_pending(connection->stream) == 0 && !(early && stream_readable_now(connection->stream))) return true;
    connection->loss = LOSS_PROTOCOL;
    return lost(greeting, stage);
}

/* ---- TLS */

static void set_status(const struct greeting *greeting, const char *format, ...) PRINTF_LIKE(2, 3);
static void set_status(const struct greeting *greeting, const char *format, ...) {
    char *status = greeting->connection->tls_status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(status, sizeof greeting->connection->tls_status, format, arguments);
    va_end(arguments);
}

/* "may", "dane:halfdane", "may:none". */
static void note_level(const struct greeting *greeting, bool encrypted) {
    const struct tls_plan *plan = greeting->plan;
    const char *configured = tls_level_name(plan->configured);
    if (!encrypted && plan->configured != TLS_LEVEL_NONE)
        set_status(greeting, "%s:none", configured);
    else if (plan->level == TLS_LEVEL_HALF_DANE)
        set_status(greeting, "%s:halfdane", configured);
    else if (plan->level < plan->configured)
        set_status(greeting, "%s:%s", configured, tls_level_name(plan->level));
    else
        set_status(greeting, "%s", tls_level_name(plan->level));
}

static void own_address(const struct connection *connection, char *text, size_t size) {
    struct endpoint self;
    struct buf address = buf_make(0);
    if (endpoint_of_self(stream_descriptor(connection->stream), &self) && !endpoint_is_local(&self) &&
        endpoint_format_ip(&self, &address))
        snprintf(text, size, "%s", buf_string(&address));
    buf_free(&address);
}

static void note_result(const struct greeting *greeting, const char *type, const char *reason) {
    struct connection *connection = greeting->connection;
    char from[INET6_ADDRSTRLEN] = "";
    own_address(connection, from, sizeof from);
    struct tls_result result = {.type = type,
                                .reason = reason,
                                .helo = greeting->said_name,
                                .from = from,
                                .reused = connection->tls && tls_connection_facts(connection->tls)->reused};
    tls_result_note(connection->smtp, greeting->question, greeting->plan, &result);
}

static bool tls_trouble(const struct greeting *greeting, const char *status, const char *mark, const char *text,
                        const char *more) {
    set_status(greeting, "!%s:%s", tls_level_name(greeting->plan->level), mark);
    trouble_set(greeting->trouble, greeting->arena, status, "%s%s", text, more);
    trouble_name_host(greeting->trouble, greeting->arena, greeting->connection);
    greeting->trouble->tls_status = trouble_keep(greeting->arena, str_from(greeting->connection->tls_status));
    return false;
}

static bool tls_not_offered(const struct greeting *greeting) {
    char text[400];
    if (!tls_plan_is_mandatory(greeting->plan)) return true;
    snprintf(text, sizeof text, "TLS is required, but was not offered by host %s", greeting->connection->peer);
    tls_trouble(greeting, "4.7.4", "nostarttls", text, "");
    if (greeting->plan->require_tls) greeting->trouble->at_end = "5.7.10"; /* RFC 8689 section 4.2.1 */
    return false;
}

/* REQUIRETLS goes only to those who pass it on. */
static bool obeys_require_tls(const struct greeting *greeting) {
    char text[400];
    const struct connection *connection = greeting->connection;
    if (!greeting->plan->require_tls || connection->ehlo.extensions & SMTP_EXTENSION_REQUIRETLS) return true;
    snprintf(text, sizeof text, "REQUIRETLS is required, but was not offered by host %s", connection->peer);
    tls_trouble(greeting, "4.7.30", "requiretls", text, "");
    greeting->trouble->local = true;
    greeting->trouble->at_end = "5.7.30";
    return false;
}

/* The server offers TLS and then does not want it. */
static bool tls_refused(const struct greeting *greeting) {
    char text[400];
    struct connection *connection = greeting->connection;
    struct buf line = buf_make(700);
    note_result(greeting, "starttls-not-supported", "STARTTLS refused");
    if (connection->closing) return !refused(greeting, STAGE_STARTTLS);
    if (!tls_plan_is_mandatory(greeting->plan)) return true;
    snprintf(text, sizeof text, "TLS is required, but host %s refused to start TLS: ", connection->peer);
    smtp_reply_append_line(&line, &connection->reply);
    tls_trouble(greeting, "4.7.4", "nostarttls", text, buf_string(&line));
    buf_free(&line);
    return false;
}

/* Nothing that was said in plain text counts any more. */
static void forget_plain(struct connection *connection) {
    connection->esmtp = false;
    connection->ehlo = (struct smtp_ehlo){0};
    buf_clear(&connection->ehlo_text);
    smtp_reply_clear(&connection->reply);
}

/* A connection on which a handshake failed is of no use, not even for QUIT. */
static bool handshake_failed(struct greeting *greeting, const struct failure *failure) {
    note_result(greeting, "validation-failure", failure->text);
    tls_trouble(greeting, "4.7.5", "handshake", "Cannot start TLS: handshake failure", "");
    greeting->connection->loss = failure->error_number == ECANCELED ? LOSS_CANCELLED : LOSS_CLOSED;
    return greeting->connection->loss == LOSS_CANCELLED && lost(greeting, STAGE_STARTTLS);
}

/* Before the server is asked for anything: what is wrong here is no reason to do without TLS. */
static bool prepare_tls(struct greeting *greeting) {
    struct failure failure = {0};
    greeting->context = tls_client_context_for(greeting->connection->smtp, greeting->plan, &failure);
    if (greeting->context) return true;
    log_warning("TLS with %s: %s", greeting->connection->relay, failure.text);
    trouble_set(greeting->trouble, greeting->arena, "4.7.5", "client TLS configuration problem");
    trouble_name_host(greeting->trouble, greeting->arena, greeting->connection);
    greeting->trouble->local = true;
    return false;
}

static bool do_tls(struct greeting *greeting) {
    struct connection *connection = greeting->connection;
    struct failure failure = {0};
    bool good = tls_client_handshake(connection, greeting->context, greeting->plan, &failure);
    tls_context_release(&greeting->context);
    if (!good) return handshake_failed(greeting, &failure);
    const struct tls_facts *facts = tls_connection_facts(connection->tls);
    connection->reusable = greeting->plan->reuse;
    forget_plain(connection);
    note_level(greeting, true);
    bool wanted = greeting->plan->session.expect != TLS_EXPECT_NOTHING && !facts->matched;
    note_result(greeting, wanted ? (facts->result_type[0] ? facts->result_type : "validation-failure") : NULL,
                facts->reason);
    if (tls_client_accepts(connection, greeting->plan)) return true;
    return tls_trouble(greeting, "4.7.5", "nomatch", "Server certificate not verified", "");
}

/* STARTTLS, if the plan and the server want it; then hello once more, and all is as if it had just begun. */
static bool start_tls(struct greeting *greeting) {
    struct connection *connection = greeting->connection;
    bool offered = connection->ehlo.extensions & SMTP_EXTENSION_STARTTLS;
    note_level(greeting, false);
    if (greeting->plan->level == TLS_LEVEL_NONE || greeting->plain) {
        if (offered && connection->smtp->settings.tls.note_offer)
            log_info("Host offered STARTTLS: [%s]", connection->name);
        return true;
    }
    if (!offered) {
        note_result(greeting, "starttls-not-supported", "STARTTLS not offered");
        return tls_not_offered(greeting);
    }
    if (!prepare_tls(greeting)) return false;
    greeting->try_plain = !tls_plan_is_mandatory(greeting->plan) && !greeting->question->will_log_in;
    if (!exchange(greeting, STAGE_STARTTLS, "STARTTLS", STR_EMPTY)) return false;
    if (connection->reply.code / 100 != 2) return tls_refused(greeting);
    if (!is_silent(greeting, STAGE_STARTTLS)) return false;
    return do_tls(greeting) && say_hello(greeting, true);
}

static bool handshake(struct greeting *greeting) {
    struct connection *connection = greeting->connection;
    const struct config *config = connection->smtp->config;
    bool wrapped = connection->smtp->settings.tls.wrapper_mode;
    if (wrapped && (!prepare_tls(greeting) || !do_tls(greeting))) return false;
    if (!connection_read_reply(connection, connection->smtp->settings.helo_timeout))
        return lost(greeting, STAGE_GREETING);
    if (refused(greeting, STAGE_GREETING)) return false;
    bool offered = str_find_str(buf_str(&connection->reply.text), STR("ESMTP")) != STR_NONE;
    if (!say_hello(greeting, !config->smtp_never_send_ehlo && (config->smtp_always_send_ehlo || offered))) return false;
    enum smtp_stage stage = connection->smtp->settings.lmtp ? STAGE_LHLO : STAGE_EHLO;
    if (!is_silent(greeting, stage)) return false; /* an answer to what was not asked */
    if (wrapped) return obeys_require_tls(greeting);
    return start_tls(greeting) && is_silent(greeting, stage) && obeys_require_tls(greeting);
}

/* One connection. NULL: the greeting's trouble says why, try_plain whether another without TLS may help. */
static struct connection *open_once(struct smtp *smtp, struct greeting *greeting) {
    const struct host *host = greeting->question->host;
    struct buf relay = buf_make(0);
    host_relay(host, &relay);
    int descriptor = connect_to(smtp, host, buf_string(&relay), greeting->arena, greeting->trouble);
    greeting->try_plain = false;
    if (descriptor >= 0) {
        struct connection *connection = connection_create(smtp, host, buf_string(&relay), greeting->plan, descriptor);
        greeting->connection = connection;
        if (handshake(greeting)) {
            tls_client_keep_session(connection);
        } else {
            /* Where the server spoke out of turn, or refused in so many words, this is not about TLS. */
            if (connection->loss != LOSS_CLOSED && connection->loss != LOSS_TIMEOUT) greeting->try_plain = false;
            if (connection->loss == LOSS_NONE)
                connection_quit(connection);
            else
                connection_close(&connection);
            greeting->connection = NULL;
        }
        tls_context_release(&greeting->context);
    }
    buf_free(&relay);
    return greeting->connection;
}

struct connection *session_open(struct smtp *smtp, const struct tls_question *question, const struct tls_plan *plan,
                                struct arena *arena, struct trouble *trouble) {
    struct greeting greeting = {.question = question, .plan = plan, .arena = arena, .trouble = trouble};
    struct connection *connection = open_once(smtp, &greeting);
    if (connection || !greeting.try_plain) return connection;
    log_info("%.*s[%.*s]: TLS failed where plain text will do: connecting again without TLS",
             STR_ARGS(question->host->name), STR_ARGS(question->host->address));
    greeting.plain = true;
    return open_once(smtp, &greeting);
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
    if (gone->loss == LOSS_NONE) tls_client_keep_session(gone);
    stream_destroy(&gone->stream);
    smtp_reply_free(&gone->reply);
    buf_free(&gone->ehlo_text);
    MEMORY_FREE(gone->name);
    MEMORY_FREE(gone->peer);
    MEMORY_FREE(gone->relay);
    MEMORY_FREE(gone->session_name);
    MEMORY_FREE(*connection);
}

static void quit(void *argument) {
    struct connection *connection = argument;
    const struct smtp_settings *settings = &connection->smtp->settings;
    stream_set_deadline(connection->stream, deadline_in(settings->quit_timeout));
    enum stream_result result = stream_write(connection->stream, STR("QUIT\r\n"));
    if (result == STREAM_OK) result = stream_flush(connection->stream);
    if (result != STREAM_OK) {
        connection_lost(connection, result); /* for the log, where it is a fault of this machine */
    } else if (!settings->skip_quit_response && connection_read_reply(connection, settings->quit_timeout)) {
        /* Whatever it says, that was all. */
    }
    connection_close(&connection);
}

void connection_quit(struct connection *connection) {
    if (connection->loss != LOSS_NONE || connection->closing || !task_start("quit", quit, connection))
        connection_close(&connection);
}
