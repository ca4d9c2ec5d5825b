/* exchange: one SASL exchange; the same end for all mechanisms: what is counted, said and waited for. */
#include "auth.h"
#include "auth_daemon.h"
#include "dovecot_client.h"
#include "log.h"
#include "relay.h"

#define ARENA_LIMIT         ((size_t)256 << 10)
#define EXCHANGES_OF_A_PEER 20000
#define STEPS_MAX           4

/* What a connection of a daemon has under way. */
struct peer_exchanges {
    struct map *by_number;
};

/* ---- exchanges of a peer */

static void stop_waiting(struct exchange *exchange) {
    if (!exchange->previous) return;
    *exchange->previous = exchange->next;
    if (exchange->next) exchange->next->previous = exchange->previous;
    exchange->previous = NULL;
}

static void start_waiting(struct exchange *exchange) {
    struct exchange **first = &exchange->auth->exchanges;
    exchange->next = *first;
    exchange->previous = first;
    if (*first) (*first)->previous = &exchange->next;
    *first = exchange;
}

/* What a source gave lies in the exchange's arena (source.h), which does not wipe. */
static void wipe_text(struct str text) {
    if (text.length) memory_wipe((void *)(uintptr_t)text.data, text.length);
}

static void exchange_free(struct exchange *exchange) {
    stop_waiting(exchange);
    dovecot_cancel(&exchange->relay);
    wipe_text(exchange->account.secret);
    wipe_text(exchange->account.app_secrets);
    arena_destroy(&exchange->arena);
    MEMORY_FREE(exchange);
}

static void peer_destroy(void *state) {
    struct peer_exchanges *peer = state;
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(peer->by_number, &cursor, &key, &value))
        exchange_free(value);
    map_destroy(&peer->by_number);
    MEMORY_FREE(peer);
}

static struct peer_exchanges *peer_of(struct ipc_peer *connection) {
    struct peer_exchanges *peer = ipc_peer_state(connection);
    if (peer) return peer;
    peer = MEMORY_NEW(struct peer_exchanges);
    peer->by_number = map_create();
    ipc_peer_set_state(connection, peer, peer_destroy);
    return peer;
}

static struct str key_of(const uint64_t *number) {
    return str_make((const char *)number, sizeof *number);
}

static void forget(struct exchange *exchange) {
    struct ipc_peer *peer = exchange->peer;
    map_remove(peer_of(peer)->by_number, key_of(&exchange->number));
    exchange_free(exchange);
    ipc_peer_unhold(peer);
}

/* ---- beginning */

/* A mailbox is not opened on a front's word alone: imapd and pop3d ask for no certificates, so one is an attacker's. */
static struct str certificate_of(const struct ipc_auth_begin *begin) {
    return admit_is_wanted(begin->protocol) ? STR_EMPTY : begin->certificate;
}

static bool copy_subject(struct exchange *exchange, const struct ipc_auth_begin *begin) {
    struct buf key = buf_make(100);
    struct arena *arena = exchange->arena;
    exchange->address_key = STR_EMPTY;
    bool good = arena_copy(arena, begin->protocol, &exchange->protocol) &&
                arena_copy(arena, begin->client_address, &exchange->client_address) &&
                arena_copy(arena, begin->client_name, &exchange->client_name) &&
                arena_copy(arena, begin->local_name, &exchange->local_name) &&
                arena_copy(arena, begin->realm, &exchange->realm) &&
                arena_copy(arena, begin->exporter, &exchange->exporter) &&
                arena_copy(arena, begin->end_point, &exchange->end_point) &&
                arena_copy(arena, certificate_of(begin), &exchange->certificate) &&
                (!failures_address_key(begin->client_address, &key) ||
                 arena_copy(arena, buf_str(&key), &exchange->address_key));
    buf_free(&key);
    return good;
}

/* mechanism NULL: that of another server. */
static struct exchange *create(struct ipc_request *request, struct auth *auth, const struct ipc_auth_begin *begin,
                               const struct mechanism *mechanism) {
    struct exchange *exchange = MEMORY_NEW(struct exchange);
    exchange->auth = auth;
    exchange->peer = request->peer;
    exchange->number = begin->exchange;
    exchange->mechanism = mechanism;
    exchange->arena = arena_create(ARENA_LIMIT);
    if (!mechanism) exchange->mechanism = relay_mechanism(begin->mechanism, exchange->arena);
    exchange->encrypted = begin->encrypted;
    exchange->no_count = bans_is_operator(request, auth);
    exchange->until = deadline_in(auth->config->auth_exchange_time * 1000);
    exchange->user = exchange->login = STR_EMPTY;
    exchange->account.login = exchange->account.secret = exchange->account.app_secrets = STR_EMPTY;
    (void)copy_subject(exchange, begin); /* an arena that is new has the room */
    ipc_peer_hold(request->peer);
    map_put(peer_of(request->peer)->by_number, key_of(&exchange->number), exchange);
    return exchange;
}

/* ---- the end */

static struct str shown_user(const struct exchange *exchange) {
    return exchange->user.length ? exchange->user : STR("(unknown)");
}

static bool is_exempt(struct exchange *exchange) {
    struct failure failure;
    return exchange->auth->ban_exceptions &&
           match_list_address(exchange->auth->ban_exceptions, exchange->client_address, &failure) == MATCH_YES;
}

static void log_ban(const char *kind, struct str subject, uint32_t count, int64_t ends) {
    log_warning("%s %.*s is kept out for %lld seconds: %u wrong logins", kind, STR_ARGS(subject),
                (long long)(ends - clock_seconds()), count);
}

/* Counts it and says so: who, from where, why, and what comes of it. */
static void note_wrong(struct exchange *exchange) {
    struct auth *auth = exchange->auth;
    struct failures_news news = {0};
    if (exchange->no_count || !exchange->counts) return;
    exchange->counts = false;
    failures_wrong(auth->failures, exchange->address_key, exchange->user, is_exempt(exchange), clock_seconds(), &news);
    log_info("wrong login: user=<%.*s> from %.*s[%.*s] by %.*s (%.*s): %s; %u of %lld from there, %u of %lld for the "
             "account",
             STR_ARGS(shown_user(exchange)), STR_ARGS(exchange->client_name), STR_ARGS(exchange->client_address),
             STR_ARGS(exchange->mechanism->name), STR_ARGS(exchange->protocol), exchange->reason, news.address_count,
             (long long)auth->config->auth_address_failures, news.account_count,
             (long long)auth->config->auth_account_failures);
    if (news.address_banned) log_ban("address", exchange->address_key, news.address_count, news.address_ends);
    if (news.account_banned) log_ban("account", exchange->user, news.account_count, news.account_ends);
}

/* Whatever was wrong, and however fast that was found out, the client learns it at one time. */
static void delay(const struct exchange *exchange) {
    int64_t left = deadline_left(exchange->asked + exchange->auth->config->auth_failure_delay * 1000);
    if (!exchange->no_count && left > 0) task_sleep(left);
}

static void pack_fields(const struct exchange *exchange, struct buf *rows, struct ipc_list *list) {
    const struct auth_account *account = &exchange->account;
    for (size_t i = 0; i < account->field_count; i++) {
        struct ipc_auth_field row = {account->fields[i].name, account->fields[i].value};
        if (!ipc_list_add(IPC_ROW_AUTH_FIELD, &row, rows, &list->count))
            log_warning("account %.*s: the field %.*s is too long and left out", STR_ARGS(exchange->user),
                        STR_ARGS(row.name));
    }
    list->packed = buf_str(rows);
}

/* The front gets a ticket for mailbox with the answer. */
static enum admission add_ticket(struct exchange *exchange, struct buf *rows, struct ipc_list *list) {
    char ticket[ADMIT_TICKET_SIZE];
    if (exchange->no_count || !admit_is_wanted(exchange->protocol)) return ADMIT_DONE;
    enum admission admission = admit_session(exchange->auth, exchange, ticket);
    if (admission != ADMIT_DONE) return admission;
    struct ipc_auth_field row = {STR("ticket"), str_from(ticket)};
    bool good = ipc_list_add(IPC_ROW_AUTH_FIELD, &row, rows, &list->count);
    list->packed = buf_str(rows);
    return good ? ADMIT_DONE : ADMIT_LATER;
}

/* The status tells the front whether it is worth trying again (RFC 3463: 5.3.5, the system is configured wrongly). */
static void grant(struct exchange *exchange, struct ipc_auth_answer *answer, struct buf *rows) {
    answer->outcome = AUTH_GRANTED;
    answer->login = exchange->login;
    pack_fields(exchange, rows, &answer->fields);
    enum admission admission = add_ticket(exchange, rows, &answer->fields);
    if (admission != ADMIT_DONE) {
        bool later = admission == ADMIT_LATER;
        answer->outcome = AUTH_LATER;
        answer->reply_code = 454;
        answer->status = later ? STR("4.3.0") : STR("5.3.5");
        answer->text =
            later ? STR("no mailbox can be had now") : STR("the account has no mailbox: tell the administrator");
        return;
    }
    if (exchange->no_count || exchange->mechanism == &mechanism_anonymous) return;
    failures_right(exchange->auth->failures, exchange->address_key, exchange->user, clock_seconds());
}

static void deny(struct exchange *exchange, struct ipc_auth_answer *answer) {
    answer->outcome = AUTH_DENIED;
    answer->reply_code = 535;
    answer->status = STR("5.7.8");
    answer->login = exchange->user;
    /* Which of all reasons it was is for the log of auth alone. */
    answer->text = exchange->no_count ? str_from(exchange->reason) : STR("wrong name or password");
    note_wrong(exchange);
    delay(exchange);
}

static void answer_step(struct exchange *exchange, enum exchange_step step, struct ipc_auth_answer *answer,
                        struct buf *rows) {
    switch (step) {
    case STEP_CHALLENGE:
        answer->outcome = AUTH_GO_ON;
        return;
    case STEP_GRANTED:
        grant(exchange, answer, rows);
        return;
    case STEP_DENIED:
        deny(exchange, answer);
        return;
    case STEP_MALFORMED:
        answer->outcome = AUTH_DENIED;
        answer->reply_code = 501;
        answer->status = STR("5.5.2");
        answer->text = STR("the response is not what the mechanism says");
        return;
    case STEP_LATER:
        break;
    }
    answer->outcome = AUTH_LATER;
    answer->reply_code = 454;
    answer->status = STR("4.7.0");
    answer->login = exchange->user;
    answer->text =
        exchange->barred ? STR("too many wrong logins, try again later") : STR("temporary authentication failure");
    if (!exchange->barred) return;
    log_info("login refused: user=<%.*s> from %.*s[%.*s] by %.*s (%.*s): %s", STR_ARGS(shown_user(exchange)),
             STR_ARGS(exchange->client_name), STR_ARGS(exchange->client_address), STR_ARGS(exchange->mechanism->name),
             STR_ARGS(exchange->protocol), exchange->reason);
    delay(exchange);
}

/* Runs one step; afterwards the exchange waits for the client, or is no more. */
static void run(struct ipc_request *request, struct exchange *exchange, bool has_response, struct str response) {
    struct buf challenge = buf_make(12288), rows = buf_make(8000);
    struct ipc_auth_answer answer = {.data = STR_EMPTY, .login = STR_EMPTY, .status = STR_EMPTY, .text = STR_EMPTY};
    stop_waiting(exchange);
    exchange->busy = true;
    exchange->asked = clock_monotonic();
    exchange->steps += has_response;
    enum exchange_step step = STEP_MALFORMED;
    if (exchange->steps <= STEPS_MAX) step = exchange->mechanism->respond(exchange, has_response, response, &challenge);
    if (step == STEP_CHALLENGE || step == STEP_GRANTED) answer.data = buf_str(&challenge);
    answer_step(exchange, step, &answer, &rows);
    bool goes_on = step == STEP_CHALLENGE && !exchange->cancelled;
    if (goes_on) { /* from the answer on the client's next response may be here, and end it */
        exchange->busy = false;
        start_waiting(exchange);
    }
    if (!ipc_answer(request, IPC_AUTH_ANSWER, &answer, -1))
        ipc_answer_failed(request, 454, "4.7.0", "the answer does not fit");
    if (!goes_on) {
        note_wrong(exchange); /* of a client that went away before the last word */
        forget(exchange);
    }
    buf_free_secret(&challenge);
    buf_free_secret(&rows);
}

/* ---- the requests */

static void refuse(struct ipc_request *request, unsigned code, const char *status, const char *text) {
    struct ipc_auth_answer answer = {.outcome = AUTH_DENIED,
                                     .data = STR_EMPTY,
                                     .login = STR_EMPTY,
                                     .reply_code = code,
                                     .status = str_from(status),
                                     .text = str_from(text)};
    (void)ipc_answer(request, IPC_AUTH_ANSWER, &answer, -1);
}

void exchange_begin(struct ipc_request *request, struct auth *auth) {
    const struct ipc_auth_begin *begin = request->message;
    const struct mechanism *mechanism = mechanism_find(begin->mechanism);
    struct ipc_auth_mechanisms client = {.protocol = begin->protocol,
                                         .encrypted = begin->encrypted,
                                         .binding = begin->exporter.length || begin->end_point.length,
                                         .certificate = certificate_of(begin).length > 0};
    struct map *by_number = peer_of(request->peer)->by_number;
    bool relays = relay_takes(auth, begin->protocol);
    if (map_get(by_number, key_of(&begin->exchange))) {
        ipc_answer_failed(request, 454, "4.7.0", "there is an exchange of this number");
    } else if (map_count(by_number) >= EXCHANGES_OF_A_PEER) {
        ipc_answer_failed(request, 454, "4.7.0", "too many exchanges");
    } else if (!relays && (!mechanism || !mechanism_is_available(auth, mechanism, &client))) {
        refuse(request, 504, "5.5.4", "no such mechanism");
    } else {
        struct exchange *exchange = create(request, auth, begin, relays ? NULL : mechanism);
        run(request, exchange, begin->has_initial, begin->initial);
    }
}

void exchange_respond(struct ipc_request *request, struct auth *auth) {
    const struct ipc_auth_response *response = request->message;
    struct exchange *exchange = map_get(peer_of(request->peer)->by_number, key_of(&response->exchange));
    (void)auth;
    if (!exchange || exchange->busy)
        ipc_answer_failed(request, 454, "4.7.0", "the exchange has ended: begin anew");
    else
        run(request, exchange, true, response->response);
}

void exchange_cancel(struct ipc_request *request, struct auth *auth) {
    const struct ipc_auth_cancel *cancel = request->message;
    struct exchange *exchange = map_get(peer_of(request->peer)->by_number, key_of(&cancel->exchange));
    (void)auth;
    if (!exchange) return;
    exchange->cancelled = true;
    if (exchange->busy) return;
    note_wrong(exchange);
    forget(exchange);
}

void exchange_expire(struct auth *auth) {
    for (struct exchange *exchange = auth->exchanges, *next; exchange; exchange = next) {
        next = exchange->next;
        if (deadline_left(exchange->until) > 0) continue;
        note_wrong(exchange);
        forget(exchange);
    }
}
