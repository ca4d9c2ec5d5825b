/* See recipient_outcome.h. */
#include "recipient_outcome.h"
#include "delivery_log.h"
#include "log_text.h"

void recipient_log_outcome(const struct delivery *delivery, const struct recipient *recipient) {
    struct delivery_times times = {(int64_t)delivery->request->arrival, (int64_t)delivery->request->activated,
                                   delivery->started, STR_EMPTY};
    if (delivery->smtp->settings.tls.log_status) times.tls = recipient->tls_status;
    delivery_log(delivery->smtp->config, delivery->request->queue_id, &times, recipient->row.address,
                 recipient->row.original, &recipient->outcome, delivery->request->probe);
}

static uint64_t milliseconds(deadline from, deadline to) {
    return to > from ? (uint64_t)(to - from) : 0;
}

static struct ipc_outcome timed_outcome(const struct delivery *delivery, const struct connection *connection) {
    deadline now = clock_monotonic();
    if (!connection) return (struct ipc_outcome){.connection_ms = milliseconds(delivery->begun, now)};
    return (struct ipc_outcome){.connection_ms = milliseconds(delivery->begun, delivery->connected),
                                .transmission_ms = milliseconds(delivery->connected, now),
                                .connection_use = connection->uses};
}

void recipient_sent(struct delivery *delivery, struct recipient *recipient, const struct connection *connection) {
    struct arena *arena = delivery->arena;
    struct buf line = buf_make(0), reply = buf_make(0);
    bool dsn = connection->ehlo.extensions & SMTP_EXTENSION_DSN;
    bool final = delivery->smtp->settings.lmtp && delivery->smtp->config->lmtp_assume_final;
    smtp_reply_append_line(&line, &connection->reply);
    log_text_append(&reply, buf_str(&line), 700);
    struct trouble names;
    trouble_name_host(&names, arena, connection);
    recipient->outcome = timed_outcome(delivery, connection);
    recipient->tls_status = trouble_keep(arena, str_from(connection->tls_status));
    recipient->outcome.action = dsn ? DELIVERY_RELAYED_DSN : final ? DELIVERY_DELIVERED : DELIVERY_RELAYED;
    struct reply_judgement judgement = reply_judge(STAGE_END, connection->reply.code, connection->reply.status, true);
    buf_clear(&line);
    status_code_append(&line, judgement.status);
    recipient->outcome.status = trouble_keep(arena, buf_str(&line));
    recipient->outcome.text = recipient->outcome.diagnostic = trouble_keep(arena, buf_str(&reply));
    recipient->outcome.relay = names.relay;
    recipient->outcome.remote_mta = names.remote_mta;
    recipient->done = true;
    recipient_log_outcome(delivery, recipient);
    buf_free(&line);
    buf_free(&reply);
}

void recipient_troubled(struct delivery *delivery, struct recipient *recipient, const struct connection *connection,
                        const struct trouble *trouble) {
    recipient->outcome = timed_outcome(delivery, connection);
    recipient->tls_status =
        connection ? trouble_keep(delivery->arena, str_from(connection->tls_status)) : trouble->tls_status;
    recipient->outcome.action = trouble->permanent ? DELIVERY_FAILED : DELIVERY_DEFERRED;
    recipient->outcome.status = trouble->status;
    recipient->outcome.text = trouble->text;
    recipient->outcome.relay = trouble->relay.length ? trouble->relay : STR("none");
    recipient->outcome.remote_mta = trouble->remote_mta;
    recipient->outcome.diagnostic = trouble->diagnostic;
    recipient->done = trouble->permanent || trouble->last;
    if (recipient->done) recipient_log_outcome(delivery, recipient);
}
