/* See front.h: TLS, login, the loan. */
#include "front.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "log_text.h"
#include "tls_suite.h"

#define KEYS_TIME      30000
#define AUTH_TIME      100000
#define COMPLAINT_TIME 60000
#define CROWD_TIME     1000 /* between two log lines on too many connections */
#define WAKE_TRIES     8    /* mailbox may be restarting */
#define WAKE_PAUSE     500  /* ms between them */
#define TELL_TIME      5000
#define TELL_AGAIN     5000
#define LOOK_EVERY     30000 /* ms: mailboxes that could not be watched */

/* ---- the process */

static enum front_tls configured_tls(const struct config *config) {
    static const struct {
        struct str word;
        enum front_tls tls;
    } words[] = {{STR_INIT("none"), FRONT_TLS_NONE},
                 {STR_INIT("may"), FRONT_TLS_OFFERED},
                 {STR_INIT("implicit"), FRONT_TLS_IMPLICIT}};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (str_equal(config->login_tls, words[i].word)) return words[i].tls;
    return FRONT_TLS_REQUIRED;
}

static bool has_certificate(const struct config *config) {
    const struct str files[] = {config->smtpd_tls_chain_files, config->smtpd_tls_cert_file,
                                config->smtpd_tls_eccert_file, config->tls_server_sni_maps};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        if (files[i].length && !str_equal(files[i], STR("none"))) return true;
    return false;
}

bool front_prepare(struct front *front, struct service *service, struct str protocol, struct failure *failure) {
    const struct config *config = service_config(service);
    front->service = service;
    front->config = config;
    front->protocol = protocol;
    front->arena = arena_create(0);
    if (!front_limits_create(config->login_connection_limit, config->login_connection_exceptions, &front->limits,
                             failure))
        return false;
    front->tls = configured_tls(config);
    front->tls_options = (struct tls_server_options){.fingerprint_digest = STR("sha256"),
                                                     .session_context = protocol,
                                                     .alpn = protocol,
                                                     .tickets = true,
                                                     .session_lifetime = config->smtpd_tls_session_cache_timeout};
    if (front->tls == FRONT_TLS_NONE) return true;
    if (!has_certificate(config))
        log_warning("there is no certificate (smtpd_tls_chain_files): clients cannot speak TLS");
    return tls_suite_read(config, config->smtpd_tls_mandatory_protocols, config->smtpd_tls_mandatory_ciphers,
                          STR("kRSA aNULL"), front->arena, &front->tls_options.suite, failure);
}

/* An operator ends a client that idles. */
static void on_notify(struct ipc_request *request, void *context) {
    struct front *front = context;
    if (request->type != IPC_SESSION_END) return;
    const struct ipc_session_end *end = request->message;
    for (struct front_client *client = front->clients; client; client = client->next) {
        if (end->session.length == 0 || !str_equal(client->session, end->session)) continue;
        client->kicked = true;
        task_queue_wake_one(&client->idle);
    }
}

/* Mailbox is another process now: it learns again who idles here, each from its own task. */
static void on_loss(void *context) {
    struct front *front = context;
    for (struct front_client *client = front->clients; client; client = client->next) {
        client->untold = true;
        task_queue_wake_one(&client->idle);
    }
}

/* A mailbox has changed whose client idles. */
static void mailbox_changes(struct front_watcher *watcher) {
    struct front_client *client =
        (struct front_client *)(void *)((char *)watcher - offsetof(struct front_client, watcher));
    client->event = true;
    task_queue_wake_one(&client->idle);
}

/* A client with TLS hears it from its task; without it takes one system call, for which no stack has to be touched. */
static void say_still_here(struct front_hearer *hearer) {
    struct front_client *client =
        (struct front_client *)(void *)((char *)hearer - offsetof(struct front_client, hearer));
    struct str text = client->front->still_here_text;
    ssize_t sent = client->encrypted
                       ? 0
                       : send(stream_descriptor(client->stream), text.data, text.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    client->to_hear = str_from_offset(text, sent > 0 ? (size_t)sent : 0);
    if (client->to_hear.length > 0) task_queue_wake_one(&client->idle);
}

void front_start(struct front *front) {
    int64_t interval = front->still_here_text.length > 0 ? front->config->imap_idle_notify_interval * 1000 : 0;
    front->still_here = front_still_here_create(interval, say_still_here);
    front->watches = front_watches_create(mailbox_changes);
    front->auth = auth_client_create(front->service);
    front->mailbox = service_client(front->service, "mailbox", on_notify, front);
    if (front->mailbox) ipc_client_on_loss(front->mailbox, on_loss, front);
    if (front->tls != FRONT_TLS_NONE && has_certificate(front->config))
        front->keys = keys_pool_create(front->service, &front->tls_options);
}

void front_stop(struct front *front) {
    for (struct front_client *client = front->clients; client; client = client->next)
        task_cancel(client->task);
}

/* ---- clients */

static void start_waiting(struct front_client *client) {
    struct front_client **first = &client->front->clients;
    client->next = *first;
    client->link = first;
    if (*first) (*first)->link = &client->next;
    *first = client;
    client->to_hear = STR_EMPTY;
    front_still_here_join(client->front->still_here, &client->hearer);
}

static void stop_waiting(struct front_client *client) {
    front_still_here_leave(client->front->still_here, &client->hearer);
    *client->link = client->next;
    if (client->next) client->next->link = client->link;
}

/* The end of a long answer must not wait for the client's acknowledgement of what went before (40 ms): streams gather
 * answers by themselves. The sessions' descriptor is of the same socket. */
static void send_at_once(int connection) {
    static const int on = 1;
    (void)setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Counts the client among those that have not logged in. With TLS from the first byte nothing can be said yet. */
static bool enter(struct front_client *client) {
    struct front *front = client->front;
    uint64_t count = 0;
    if (front_limits_enter(front->limits, buf_str(&client->address), &client->key, &count)) return true;
    if (deadline_left(front->crowd_complaint) == 0) {
        log_warning("Connection concurrency limit exceeded: %llu without a login from %s for service %.*s",
                    (unsigned long long)count, buf_string(&client->address), STR_ARGS(service_name(front->service)));
        front->crowd_complaint = deadline_in(CROWD_TIME);
    }
    if (front->tls == FRONT_TLS_IMPLICIT) return false;
    stream_set_deadline(client->stream, deadline_in(CROWD_TIME));
    if (stream_write(client->stream, front->refusal) == STREAM_OK && stream_flush(client->stream) != STREAM_OK)
        log_info("%s did not hear that it has too many connections", buf_string(&client->address));
    return false;
}

struct front_client *front_accept(struct front *front, int connection, size_t line_limit) {
    struct front_client *client = MEMORY_NEW(struct front_client);
    client->front = front;
    client->task = task_current();
    client->stream = stream_create(connection, line_limit);
    client->login_until = deadline_in(front->config->login_time_limit * 1000);
    if (!endpoint_of_peer(connection, &client->peer)) {
        front_client_free(&client);
        return NULL;
    }
    if (!endpoint_is_local(&client->peer)) send_at_once(connection);
    client->local = endpoint_is_local(&client->peer) || endpoint_is_loopback(&client->peer);
    if (endpoint_is_local(&client->peer))
        buf_append(&client->address, STR("127.0.0.1"));
    else
        endpoint_format_ip(&client->peer, &client->address);
    if (!enter(client) || (front->tls == FRONT_TLS_IMPLICIT && !front_begin_tls(client))) front_client_free(&client);
    return client;
}

void front_client_free(struct front_client **client) {
    front_limits_leave((*client)->front->limits, &(*client)->key);
    stream_destroy(&(*client)->stream);
    buf_free(&(*client)->address);
    buf_free(&(*client)->user);
    MEMORY_FREE(*client);
}

/* ---- TLS */

static struct tls_context *take_context(struct front *front) {
    struct failure failure = {0};
    if (!front->keys) return NULL;
    struct tls_context *context = keys_pool_context(front->keys, deadline_in(KEYS_TIME), &failure);
    if (!context && deadline_left(front->complaint) == 0) {
        log_warning("TLS is not available: %s", failure.text);
        front->complaint = deadline_in(COMPLAINT_TIME);
    }
    return context;
}

bool front_can_tls(struct front_client *client) {
    if (client->encrypted || client->front->tls == FRONT_TLS_NONE) return false;
    struct tls_context *context = take_context(client->front);
    bool possible = context != NULL;
    tls_context_release(&context);
    return possible;
}

bool front_needs_tls(const struct front_client *client) {
    return client->front->tls == FRONT_TLS_REQUIRED && !client->encrypted && !client->local;
}

bool front_begin_tls(struct front_client *client) {
    struct failure failure = {0};
    struct tls_context *context = take_context(client->front);
    if (!context) return false;
    stream_set_deadline(client->stream, client->login_until);
    client->encrypted = tls_accept(client->stream, context, &client->tls, &failure);
    tls_context_release(&context);
    if (!client->encrypted) log_info("TLS with %s failed: %s", buf_string(&client->address), failure.text);
    return client->encrypted;
}

enum stream_result front_read_line(struct front_client *client, struct str *line) {
    if (service_is_stopping(client->front->service)) return STREAM_CANCELLED;
    stream_set_deadline(client->stream, client->login_until);
    start_waiting(client);
    enum stream_result result = stream_read_line(client->stream, line);
    stop_waiting(client);
    return result;
}

/* ---- login */

struct bindings {
    uint8_t exporter[32], end_point[64];
    size_t exporter_length, end_point_length;
};

static struct auth_subject subject_of(const struct front_client *client, struct bindings *bindings) {
    *bindings = (struct bindings){0};
    if (client->tls)
        tls_channel_bindings(client->tls, bindings->exporter, &bindings->exporter_length, bindings->end_point,
                             &bindings->end_point_length);
    return (struct auth_subject){
        .protocol = client->front->protocol,
        .client_address = buf_str(&client->address),
        .client_name = STR("unknown"),
        .local_name = client->front->config->myhostname,
        .realm = STR_EMPTY,
        .encrypted = !front_needs_tls(client), /* where TLS is only offered, passwords may come in clear */
        .exporter = str_make((const char *)bindings->exporter, bindings->exporter_length),
        .end_point = str_make((const char *)bindings->end_point, bindings->end_point_length),
        .certificate = STR_EMPTY,
    };
}

struct str front_mechanisms(struct front_client *client, struct arena *arena) {
    struct bindings bindings;
    struct auth_subject subject = subject_of(client, &bindings);
    struct str names = auth_mechanisms(client->front->auth, &subject, deadline_in(AUTH_TIME), arena);
    return names.data ? names : STR_EMPTY;
}

/* What Dovecot's readers of logs look for: "(auth failed, N attempts in N secs): user=<>, method=, rip=, lip=". */
static void log_wrong(struct front_client *client, struct str mechanism, struct str login) {
    client->wrong++;
    buf_clear(&client->user);
    log_text_append(&client->user, str_slice(login, 0, 200), 0);
    log_info("login failed (auth failed, %u attempts): user=<%s>, method=%.*s, rip=%s%s", client->wrong,
             buf_string(&client->user), STR_ARGS(mechanism), buf_string(&client->address),
             client->encrypted ? ", TLS" : "");
}

static bool find_ticket(const struct auth_result *result, struct arena *arena, struct str *ticket) {
    struct ipc_auth_field field;
    size_t offset = 0;
    bool bad = false;
    while (ipc_list_next(result->fields, IPC_ROW_AUTH_FIELD, &offset, &field, &bad))
        if (str_equal(field.name, STR("ticket"))) return arena_copy(arena, field.value, ticket);
    return false;
}

static enum front_login finish(struct front_client *client, struct str mechanism, const struct auth_result *result,
                               struct arena *arena, struct str *ticket, struct str *text) {
    if (result->outcome == AUTH_GRANTED && find_ticket(result, arena, ticket)) {
        buf_clear(&client->user);
        log_text_append(&client->user, str_slice(result->login, 0, 200), 0);
        log_info("login: user=<%s>, method=%.*s, rip=%s%s", buf_string(&client->user), STR_ARGS(mechanism),
                 buf_string(&client->address), client->encrypted ? ", TLS" : "");
        return LOGIN_DONE;
    }
    *text = result->text;
    if (result->outcome == AUTH_GRANTED) *text = STR("no mailbox can be had now");
    if (result->outcome == AUTH_LATER && str_starts(result->status, STR("5"))) return LOGIN_IMPOSSIBLE;
    if (result->outcome != AUTH_DENIED) return LOGIN_LATER;
    log_wrong(client, mechanism, result->login);
    return LOGIN_WRONG;
}

bool front_offers(struct front_client *client, struct str mechanism, struct arena *arena) {
    struct str names = front_mechanisms(client, arena), name;
    bool none = names.length == 0;
    while (str_next_word(&names, " ", &name))
        if (str_equal_nocase(name, mechanism)) return true;
    return none;
}

enum front_login front_log_in(struct front_client *client, const struct auth_opening *opening, front_ask *ask,
                              void *context, struct arena *arena, struct str *ticket, struct str *text) {
    struct front *front = client->front;
    struct bindings bindings;
    struct auth_subject subject = subject_of(client, &bindings);
    struct auth_result result;
    struct buf response = buf_make(12288);
    uint64_t exchange = 0;
    auth_begin(front->auth, &subject, opening, deadline_in(AUTH_TIME), arena, &exchange, &result);
    while (result.outcome == AUTH_GO_ON) {
        buf_clear(&response);
        if (!ask(context, result.data, &response)) {
            auth_cancel(front->auth, exchange);
            buf_free_secret(&response);
            return LOGIN_GONE;
        }
        auth_respond(front->auth, exchange, buf_str(&response), deadline_in(AUTH_TIME), arena, &result);
    }
    /* The mechanism's last word, where the protocol has no place for it, is one more challenge with an empty answer. */
    if (result.outcome == AUTH_GRANTED && result.data.length > 0) {
        buf_clear(&response);
        if (!ask(context, result.data, &response)) {
            buf_free_secret(&response);
            return LOGIN_GONE;
        }
    }
    buf_free_secret(&response);
    return finish(client, opening->mechanism, &result, arena, ticket, text);
}

static bool ask_nobody(void *context, struct str challenge, struct buf *response) {
    (void)context;
    (void)challenge;
    (void)response;
    return false;
}

enum front_login front_log_in_plain(struct front_client *client, struct str user, struct str password,
                                    struct arena *arena, struct str *ticket, struct str *text) {
    struct buf message = buf_make(4096);
    *text = STR("wrong name or password");
    bool good = !memchr(user.data, '\0', user.length) && !memchr(password.data, '\0', password.length);
    buf_append_char(&message, '\0');
    buf_append(&message, user);
    buf_append_char(&message, '\0');
    buf_append(&message, password);
    enum front_login login = LOGIN_WRONG;
    const struct auth_opening opening = {STR("PLAIN"), true, buf_str(&message)};
    if (good && !buf_overflowed(&message))
        login = front_log_in(client, &opening, ask_nobody, NULL, arena, ticket, text);
    else
        log_wrong(client, STR("PLAIN"), user);
    buf_free_secret(&message);
    return login == LOGIN_GONE ? LOGIN_LATER : login;
}

/* ---- idling */

static void client_speaks(int descriptor, void *argument) {
    struct front_client *client = argument;
    (void)descriptor;
    client->input = true;
    task_queue_wake_one(&client->idle);
}

static bool say(struct front_client *client, struct str text) {
    stream_set_deadline(client->stream, deadline_in(60000));
    return text.length == 0 ||
           (stream_write(client->stream, text) == STREAM_OK && stream_flush(client->stream) == STREAM_OK);
}

static void tell_waits(struct front_client *client) {
    struct ipc_session_waits waits = {.state = client->state};
    client->untold =
        ipc_tell(client->front->mailbox, IPC_SESSION_WAITS, &waits, deadline_in(TELL_TIME), NULL) != IPC_OK;
}

static void tell_gone(struct front_client *client) {
    struct ipc_session_gone gone = {.session = client->session};
    enum ipc_result ignored = ipc_tell(client->front->mailbox, IPC_SESSION_GONE, &gone, deadline_in(TELL_TIME), NULL);
    (void)ignored;
}

/* A client that has closed its connection and said nothing needs no session for that. */
static bool has_gone(struct front_client *client) {
    return client->input && stream_readable_now(client->stream) && stream_pending(client->stream) == 0;
}

/* Waits for the client, the mailbox or the time. False: it is over (the client is gone, everything stops). */
static bool wait_idle(struct front_client *client, bool unwatched, enum session_wake *reason) {
    deadline ends = deadline_in(client->front->config->mail_idle_timeout * 1000);
    deadline look = unwatched ? deadline_in(LOOK_EVERY) : DEADLINE_NEVER;
    struct loop_watch *input;
    bool going = true;
    client->input = stream_readable_now(client->stream);
    input = client->input ? NULL : loop_watch_readable(stream_descriptor(client->stream), client_speaks, client);
    start_waiting(client);
    client->kicked = false;
    tell_waits(client);
    while (going && !client->input && !client->event) {
        deadline again = client->untold ? deadline_in(TELL_AGAIN) : DEADLINE_NEVER;
        deadline soonest = look < again ? look : again;
        enum wait_result result = task_queue_wait(&client->idle, soonest < ends ? soonest : ends);
        if (result == WAIT_CANCELLED || client->kicked || deadline_left(ends) == 0) going = false;
        if (going && client->untold) tell_waits(client);
        if (going) going = say(client, client->to_hear);
        client->to_hear = STR_EMPTY;
        if (deadline_left(look) == 0) client->event = true;
    }
    stop_waiting(client);
    if (input) loop_watch_stop(&input);
    if (client->kicked || has_gone(client)) going = false;
    if (!going) tell_gone(client);
    *reason = client->input ? WAKE_INPUT : WAKE_EVENT;
    return going;
}

/* ---- the loan */

/* A session after an IDLE: mailbox may be restarting just now, and the client does not care. */
static enum front_end run_session(struct front_client *client, struct front_loan *loan, struct arena *arena,
                                  struct failure *failure) {
    enum front_end end = FRONT_LOST;
    for (unsigned attempt = 0; attempt < WAKE_TRIES; attempt++) {
        struct failure again = {0};
        end = front_session_run(client->front->mailbox, loan, arena, &again);
        *failure = again;
        if (end != FRONT_LOST || loan->reason == WAKE_LOGIN || again.text[0] == '\0') break;
        if (task_sleep(WAKE_PAUSE) == WAIT_CANCELLED) break;
    }
    return end;
}

/* All that is left of a session while its client idles, maybe for hours, and nothing larger than it has to be. */
static void keep(struct front_loan *loan, char **state, char **input, struct arena **arena) {
    free(*state);
    free(*input);
    *state = memory_copy_string(loan->new_state);
    *input = loan->new_input.length > 0 ? memory_copy_string(loan->new_input) : NULL;
    loan->state = str_make(*state, loan->new_state.length);
    loan->input = *input ? str_make(*input, loan->new_input.length) : STR_EMPTY;
    loan->tag = loan->ticket = STR_EMPTY;
    loan->reason = WAKE_INPUT;
    arena_destroy(arena);
}

void front_serve_session(struct front_client *client, struct str tag, struct str ticket, struct str lost) {
    struct front_loan loan = {.connection = client->stream,
                              .encrypted = client->encrypted,
                              .client_address = buf_str(&client->address),
                              .tag = tag,
                              .ticket = ticket,
                              .state = STR_EMPTY,
                              .input = STR_EMPTY,
                              .reason = WAKE_LOGIN,
                              .watches = client->front->watches,
                              .watcher = &client->watcher};
    struct arena *arena = arena_create(0);
    struct failure failure = {0};
    char *state = NULL, *input = NULL;
    front_limits_leave(client->front->limits, &client->key);
    enum front_end end = run_session(client, &loan, arena, &failure);
    while (end == FRONT_IDLE) {
        bool going = true;
        keep(&loan, &state, &input, &arena);
        client->state = loan.state;
        client->session = session_state_number(loan.state);
        client->event = loan.look;
        if (loan.input.length == 0) going = wait_idle(client, loan.unwatched, &loan.reason);
        if (!going) {
            say(client, STR("* BYE Disconnected\r\n"));
            break;
        }
        arena = arena_create(0);
        end = run_session(client, &loan, arena, &failure);
    }
    free(state);
    free(input);
    front_watches_leave(client->front->watches, &client->watcher);
    if (end == FRONT_LOST) {
        log_warning("session of %s from %s is lost: %s", buf_string(&client->user), buf_string(&client->address),
                    failure.text[0] ? failure.text : "its process ended");
        say(client, lost);
    }
    log_info("disconnected: user=<%s>, rip=%s", buf_string(&client->user), buf_string(&client->address));
    arena_destroy(&arena);
}
