/* One DELIVER request: find the hosts, get a connection, run the transaction, say
 * what became of each recipient. */
#include "deliver.h"
#include "envelope_wish.h"
#include "log.h"
#include "login.h"
#include "next_hop.h"
#include "recipient_outcome.h"
#include "route.h"
#include "transaction.h"

#define RECIPIENTS_MAX  1000 /* of one request; those beyond have no outcome, so qmgr tries them again */
#define OUTCOMES_SIZE   ((size_t)118000)
#define OUTCOME_FIXED   ((size_t)100) /* of a row, without its texts */
#define TEXT_MAX        ((size_t)1000)
#define CONNECTIONS_MAX 20 /* one after the other, to one host for one delivery */

static bool is_waiting(const struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++)
        if (!delivery->recipients[i].done) return true;
    return false;
}

static void fail_waiting(struct delivery *delivery, const struct trouble *trouble) {
    for (size_t i = 0; i < delivery->count; i++)
        if (!delivery->recipients[i].done) recipient_troubled(delivery, &delivery->recipients[i], NULL, trouble);
}

/* ---- one session */

static bool has_untried(const struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++)
        if (!delivery->recipients[i].done && delivery->recipients[i].session != delivery->sessions) return true;
    return false;
}

/* Why those who now get another chance needed one. */
static void log_second_chances(const struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++) {
        const struct recipient *recipient = &delivery->recipients[i];
        if (!recipient->done && recipient->outcome.status.length)
            log_message(delivery->request->queue_id, "%.*s", STR_ARGS(recipient->outcome.text));
    }
}

/* As many messages as it may have (RFC 9422). */
static bool is_used_up(const struct connection *connection) {
    return connection->ehlo.mail_max && connection->uses >= connection->ehlo.mail_max;
}

static bool may_be_kept(const struct smtp *smtp, const struct connection *connection) {
    const struct smtp_settings *settings = &smtp->settings;
    if (connection->loss != LOSS_NONE || connection->closing || stream_pending(connection->stream)) return false;
    if (is_used_up(connection) || !connection->reusable) return false;
    if (settings->reuse_count_limit && connection->uses > settings->reuse_count_limit) return false;
    return settings->cache_on_demand && clock_monotonic() - connection->opened < settings->reuse_time_limit;
}

/* Runs transactions until all recipients were tried in this session. False: the
 * connection ended before that, between two transactions. */
static bool use_connection(struct delivery *delivery, struct connection *connection) {
    enum transaction_end end = TRANSACTION_ENDED;
    delivery->connected = clock_monotonic();
    while (end == TRANSACTION_ENDED && has_untried(delivery)) {
        if (connection->loss != LOSS_NONE || connection->closing) break;
        if (is_used_up(connection) || !connection_reset(connection)) {
            if (connection->loss == LOSS_NONE) connection->closing = true;
            end = TRANSACTION_STALE;
        } else {
            end = transaction_run(delivery, connection);
        }
    }
    if (may_be_kept(delivery->smtp, connection))
        connection_cache_put(&delivery->smtp->cache, connection);
    else
        connection_quit(connection);
    return end != TRANSACTION_STALE;
}

/* ---- hosts */

/* What is asked of TLS with a host, once it has been found out. */
struct host_plan {
    bool known, usable;
    struct tls_plan plan;
    struct trouble trouble; /* why it is not usable */
};

struct attempt {
    struct delivery *delivery;
    const struct route *route;
    struct str text; /* the next hop as it was given */
    const struct next_hop *next_hop;
    struct host_plan *plans; /* one for each host of the route */
};

static struct tls_question question_of(const struct attempt *attempt, size_t host) {
    uint64_t wishes = attempt->delivery->request->tls;
    bool require = wishes & TLS_WISH_REQUIRED;
    return (struct tls_question){.next_hop_text = attempt->text,
                                 .next_hop = attempt->next_hop,
                                 .route = attempt->route,
                                 .host = &attempt->route->hosts[host],
                                 .require_tls = require,
                                 .tls_not_required = !require && wishes & TLS_WISH_NOT_REQUIRED,
                                 .unreported = wishes & TLS_WISH_UNREPORTED};
}

/* NULL: the host may not be used now, the delivery's trouble says why. */
static const struct tls_plan *plan_for(const struct attempt *attempt, size_t host) {
    struct delivery *delivery = attempt->delivery;
    struct host_plan *found = &attempt->plans[host];
    if (!found->known) {
        struct tls_question question = question_of(attempt, host);
        trouble_set(&found->trouble, delivery->arena, "4.3.0", "no memory for a plan of TLS");
        found->usable = tls_plan_make(delivery->smtp, &question, delivery->arena, &found->plan, &found->trouble);
        found->known = true;
    }
    if (found->usable) return &found->plan;
    delivery->trouble = found->trouble;
    return NULL;
}

/* Which account is for this host. False: it may not be used now; the delivery's trouble says why. */
static bool find_account(const struct attempt *attempt, const struct host *host, struct login *login) {
    struct delivery *delivery = attempt->delivery;
    return login_prepare(delivery->smtp, host->name, attempt->text, delivery->request->sender, delivery->arena, login,
                         &delivery->trouble);
}

static struct connection *take_idle(struct delivery *delivery, const struct host *host, const struct tls_plan *plan,
                                    const struct login *login) {
    struct buf relay = buf_make(0);
    host_relay(host, &relay);
    struct connection *connection =
        connection_cache_take(&delivery->smtp->cache, buf_str(&relay), plan->key, login->key);
    buf_free(&relay);
    return connection;
}

/* A connection that waits for us, to this host. */
static bool try_idle_host(const struct attempt *attempt, size_t number) {
    const struct host *host = &attempt->route->hosts[number];
    const struct tls_plan *plan = plan_for(attempt, number);
    struct connection *connection;
    struct login login;
    if (!plan) return false;
    bool used = false, may = find_account(attempt, host, &login);
    while (may && !used && (connection = take_idle(attempt->delivery, host, plan, &login)) != NULL)
        used = use_connection(attempt->delivery, connection);
    login_free(&login);
    if (used) attempt->delivery->reached = true;
    return used;
}

/* The same for any of the best hosts. The host's number, or the count of hosts if there was none. */
static size_t try_idle(const struct attempt *attempt) {
    const struct route *route = attempt->route;
    attempt->delivery->sessions++;
    if (attempt->delivery->smtp->cache.count == 0) return route->count;
    for (size_t i = 0; i < route->count && route->hosts[i].preference == route->hosts[0].preference; i++)
        if (try_idle_host(attempt, i)) return i;
    return route->count;
}

/* A connection that has said hello and, where there is an account, has logged in. */
static struct connection *open_session(const struct attempt *attempt, const struct tls_question *question,
                                       const struct tls_plan *plan) {
    const struct host *host = question->host;
    struct delivery *delivery = attempt->delivery;
    struct login login;
    struct connection *connection = NULL;
    if (find_account(attempt, host, &login)) {
        struct tls_question asked = *question;
        asked.will_log_in = login.wanted;
        connection = session_open(delivery->smtp, &asked, plan, delivery->arena, &delivery->trouble);
    }
    if (connection && !login_run(connection, &login, host, delivery->arena, &delivery->trouble)) {
        delivery->reached = true; /* mail of other accounts may well get through */
        connection_quit(connection);
        connection = NULL;
    }
    login_free(&login);
    return connection;
}

/* One session, over several connections if the server takes so few recipients or
 * messages on one. False: none came about; the delivery's trouble says why. */
static bool try_host(const struct attempt *attempt, size_t host) {
    struct delivery *delivery = attempt->delivery;
    struct tls_question question = question_of(attempt, host);
    const struct tls_plan *plan = plan_for(attempt, host);
    if (!plan) return false;
    delivery->sessions++;
    for (unsigned connections = 0; connections < CONNECTIONS_MAX; connections++) {
        struct connection *connection = open_session(attempt, &question, plan);
        if (!connection) return connections > 0;
        delivery->reached = true;
        if (connections == 0) log_second_chances(delivery);
        if (use_connection(delivery, connection)) break;
    }
    return true;
}

static void try_hosts(const struct attempt *attempt) {
    struct delivery *delivery = attempt->delivery;
    const struct smtp_settings *settings = &delivery->smtp->settings;
    size_t tried = try_idle(attempt);
    int64_t sessions = tried < attempt->route->count ? 1 : 0;
    for (size_t i = 0; i < attempt->route->count && is_waiting(delivery); i++) {
        if (i == tried) continue;
        if (settings->mx_session_limit && sessions >= settings->mx_session_limit) return;
        if (try_host(attempt, i)) {
            sessions++;
            continue;
        }
        if (!delivery->trouble.at_end) delivery->other_trouble = true;
        if (delivery->trouble.permanent || delivery->trouble.last) {
            fail_waiting(delivery, &delivery->trouble);
        } else if (delivery->trouble.relay.length) { /* it answered, but there was no session */
            sessions++;
            if (i + 1 < attempt->route->count)
                log_message(delivery->request->queue_id, "%.*s", STR_ARGS(delivery->trouble.text));
        }
    }
}

/* ---- destinations */

static void try_destination(struct delivery *delivery, struct str text) {
    const struct smtp_settings *settings = &delivery->smtp->settings;
    struct next_hop next_hop;
    struct failure failure = {0};
    struct route route = {0};
    if (!next_hop_parse(text, settings->lmtp, settings->port, &next_hop, &failure)) {
        trouble_set(&delivery->trouble, delivery->arena, "5.1.2", "%s", failure.text);
        return;
    }
    if (!route_find(delivery->smtp, &next_hop, delivery->arena, &route, &delivery->trouble)) return;
    struct attempt attempt = {delivery, &route, text, &next_hop, NULL};
    attempt.plans = arena_allocate(delivery->arena, route.count + 1, sizeof *attempt.plans);
    if (attempt.plans) try_hosts(&attempt);
}

/* Another than the first destination was configured: if it does not exist, that is
 * no reason to return mail. */
static void try_another(struct delivery *delivery, struct str text) {
    struct trouble before = delivery->trouble;
    try_destination(delivery, text);
    if (!delivery->trouble.permanent || !is_waiting(delivery)) return;
    log_warning("next hop %.*s: %.*s", STR_ARGS(text), STR_ARGS(delivery->trouble.text));
    delivery->trouble = before;
    if (before.permanent) trouble_set(&delivery->trouble, delivery->arena, "4.3.5", "server configuration error");
}

static bool may_try_another(const struct delivery *delivery) {
    return is_waiting(delivery) && !delivery->trouble.last;
}

/* The next hop may be a list; then come the fallback relays. */
static void try_destinations(struct delivery *delivery) {
    struct str list = delivery->request->nexthop, text;
    if (next_hop_list_next(&list, &text)) try_destination(delivery, text);
    while (may_try_another(delivery) && next_hop_list_next(&list, &text))
        try_another(delivery, text);
    if (delivery->smtp->settings.lmtp) return;
    list = delivery->smtp->config->smtp_fallback_relay;
    while (may_try_another(delivery) && next_hop_list_next(&list, &text))
        try_another(delivery, text);
}

/* ---- the request */

static bool delivery_begin(struct delivery *delivery) {
    const struct ipc_deliver *request = delivery->request;
    size_t room = request->recipients.count < RECIPIENTS_MAX ? request->recipients.count : RECIPIENTS_MAX;
    size_t offset = 0;
    bool bad = false;
    delivery->recipients = arena_allocate(delivery->arena, room ? room : 1, sizeof *delivery->recipients);
    if (!delivery->recipients) return false;
    while (delivery->count < room && ipc_list_next(request->recipients, IPC_ROW_RECIPIENT, &offset,
                                                   &delivery->recipients[delivery->count].row, &bad))
        delivery->count++;
    trouble_set(&delivery->trouble, delivery->arena, "4.4.1", "no host to deliver to");
    return true;
}

/* Each host said that it will never do: waiting does not help. */
static void judge_end(struct delivery *delivery) {
    struct trouble *trouble = &delivery->trouble;
    if (!trouble->at_end || delivery->other_trouble) return;
    trouble->status = trouble_keep(delivery->arena, str_from(trouble->at_end));
    trouble->permanent = true;
}

/* Who is left waits for another day. */
static void settle_rest(struct delivery *delivery) {
    for (size_t i = 0; i < delivery->count; i++) {
        struct recipient *recipient = &delivery->recipients[i];
        if (recipient->done) continue;
        if (recipient->outcome.status.length) {
            recipient->done = true;
            recipient_log_outcome(delivery, recipient);
        } else {
            struct trouble trouble = delivery->trouble;
            trouble.last = true;
            recipient_troubled(delivery, recipient, NULL, &trouble);
        }
    }
}

/* Every recipient's row has to fit: with very many, texts are cut short. */
static void pack_outcomes(struct delivery *delivery, struct buf *rows, struct ipc_list *list) {
    size_t share = OUTCOMES_SIZE / (delivery->count ? delivery->count : 1);
    uint32_t count = 0;
    for (size_t i = 0; i < delivery->count; i++) {
        struct ipc_outcome outcome = delivery->recipients[i].outcome;
        size_t used = OUTCOME_FIXED + outcome.relay.length + outcome.remote_mta.length;
        if (used > share) {
            outcome.relay = outcome.remote_mta = STR_EMPTY;
            used = OUTCOME_FIXED;
        }
        size_t room = share > used ? share - used : 0;
        outcome.index = delivery->recipients[i].row.index;
        outcome.text = str_slice(outcome.text, 0, room < TEXT_MAX ? room : TEXT_MAX);
        room -= outcome.text.length;
        outcome.diagnostic = str_slice(outcome.diagnostic, 0, room < TEXT_MAX ? room : TEXT_MAX);
        if (!ipc_list_add(IPC_ROW_OUTCOME, &outcome, rows, &count))
            log_message_warning(delivery->request->queue_id, "an outcome does not fit into the answer");
    }
    *list = (struct ipc_list){buf_str(rows), count};
}

void smtp_deliver(struct smtp *smtp, const struct ipc_deliver *request, int file, struct arena *arena, struct buf *rows,
                  struct ipc_delivered *answer) {
    struct delivery delivery = {.smtp = smtp,
                                .request = request,
                                .file = file,
                                .arena = arena,
                                .started = clock_date(),
                                .begun = clock_monotonic()};
    *answer = (struct ipc_delivered){.dead_host = STR_EMPTY};
    if (!delivery_begin(&delivery)) return;
    try_destinations(&delivery);
    judge_end(&delivery);
    settle_rest(&delivery);
    pack_outcomes(&delivery, rows, &answer->outcomes);
    if (!delivery.reached && !delivery.trouble.permanent && !delivery.trouble.local)
        answer->dead_host = str_slice(delivery.trouble.text, 0, 300);
}
