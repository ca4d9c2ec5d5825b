/* One delivery: a message, some of its recipients, one destination. The agent gets
 * the file open for reading, never a path, and answers for each recipient. */
#include "qmgr.h"
#include "delivery_log.h"
#include "log.h"

/* An agent bounds its own waits; this is for one that stalls altogether. */
#define AGENT_PATIENCE ((int64_t)4 * 3600 * 1000)

/* Every recipient of a delivery gets the same outcome, logged by qmgr itself. */
static void settle(const struct delivery *delivery, const struct ipc_outcome *outcome, bool log_it) {
    struct message *message = delivery->message;
    struct delivery_times times = {message->envelope.arrival, message->activated, clock_date(), STR_EMPTY};
    for (size_t i = 0; i < delivery->count; i++) {
        struct ipc_outcome one = *outcome;
        one.index = delivery->indexes[i];
        const struct queue_recipient *recipient = &message->envelope.recipients[one.index];
        if (log_it)
            delivery_log(message->qmgr->config, str_from(message->queue_id), &times, recipient->address,
                         recipient->original, &one, message_is_probe(message));
        message_outcome(message, &one);
    }
}

static void job_settle(struct job *job, unsigned action, const char *status, const char *relay, struct str text) {
    struct message *message = job->message;
    struct delivery rest = {.message = message,
                            .destination = job->destination,
                            .indexes = job->indexes + job->taken,
                            .count = job->count - job->taken};
    struct ipc_outcome outcome = {.action = action, .status = str_from(status), .relay = str_from(relay), .text = text};
    if (job->line) destination_remove_job(job->destination, job);
    job->taken = job->count;
    settle(&rest, &outcome, true);
    message->unfinished -= rest.count;
    if (message->unfinished == 0) message_finish(message);
}

/* ---- the transports that qmgr serves itself: error, retry, discard. The nexthop is the text,
 * "5.7.1 reason" or a bare reason. */

static void serve_own(struct delivery *delivery) {
    struct transport *transport = delivery->destination->transport;
    struct str name = str_from(transport->name), text = str_from(delivery->destination->nexthop), first, rest;
    bool failing = str_equal(name, STR("error")), discarding = str_equal(name, STR("discard"));
    if (!failing && !discarding && !str_equal(name, STR("retry")))
        text = STR("4.3.0 mail transport unavailable"); /* not in master.cf's reach */
    struct str status = failing ? STR("5.0.0") : discarding ? STR("2.0.0") : STR("4.0.0");
    if (str_cut(text, ' ', &first, &rest) && first.length >= 5 && first.length <= 11 && ascii_is_digit(first.data[0]) &&
        first.data[1] == '.') {
        status = first;
        text = rest;
    }
    unsigned action = failing ? DELIVERY_FAILED : discarding ? DELIVERY_DELIVERED : DELIVERY_DEFERRED;
    struct ipc_outcome outcome = {.action = action,
                                  .status = status,
                                  .relay = STR("none"),
                                  .text = text.length ? text : STR("mail is not delivered here")};
    settle(delivery, &outcome, true);
}

/* ---- agents */

static bool pack_recipients(const struct delivery *delivery, struct buf *rows, uint32_t *count) {
    for (size_t i = 0; i < delivery->count; i++) {
        const struct queue_recipient *recipient = &delivery->message->envelope.recipients[delivery->indexes[i]];
        struct ipc_recipient row = {.address = recipient->address,
                                    .original = recipient->original,
                                    .orcpt = recipient->orcpt,
                                    .notify = recipient->notify,
                                    .index = delivery->indexes[i]};
        if (!ipc_list_add(IPC_ROW_RECIPIENT, &row, rows, count)) return false;
    }
    return true;
}

static enum ipc_result ask_agent(const struct delivery *delivery, struct arena *arena, struct ipc_reply *reply,
                                 struct failure *failure) {
    const struct message *message = delivery->message;
    const struct queue_envelope *envelope = &message->envelope;
    struct buf rows = buf_make(0);
    uint32_t count = 0;
    enum ipc_result result = IPC_UNREACHABLE;
    if (pack_recipients(delivery, &rows, &count)) {
        struct ipc_deliver request = {
            .queue_id = str_from(message->queue_id),
            .transport = str_from(delivery->destination->transport->name),
            .nexthop = str_from(delivery->destination->nexthop),
            .content_offset = message->content_offset,
            .content_length = message->header.content_length,
            .content_lines = message->header.content_lines,
            .body = envelope->body,
            .smtputf8 = envelope->smtputf8,
            .sender = envelope->sender,
            .envelope_id = envelope->envelope_id,
            .return_content = envelope->return_content,
            .arrival = (uint64_t)envelope->arrival,
            .activated = (uint64_t)message->activated,
            .client_name = envelope->client_name,
            .client_address = envelope->client_address,
            .helo = envelope->helo,
            .protocol = envelope->protocol,
            .login = envelope->login,
            .message_id = envelope->message_id,
            .perhaps_delivered = message->perhaps_delivered,
            .recipients = {buf_str(&rows), count},
            .probe = message_is_probe(message),
            .deliver_by = (uint64_t)envelope->wish.deliver_by,
            .by_mode = (uint64_t)envelope->wish.by_mode,
            .by_trace = envelope->wish.by_trace,
            .priority = priority_to_number(envelope->wish.priority),
            .tls = envelope->wish.tls,
        };
        result = ipc_ask(delivery->destination->transport->client, IPC_DELIVER, &request, message->shared,
                         IPC_DELIVERED, deadline_in(AGENT_PATIENCE), arena, reply, failure);
    } else {
        failure_set(failure, "the recipients do not fit into a request");
    }
    buf_free(&rows);
    return result;
}

static bool is_ours(const struct delivery *delivery, uint64_t index) {
    for (size_t i = 0; i < delivery->count; i++)
        if (delivery->indexes[i] == index) return true;
    return false;
}

/* Applies the answers; a recipient that the agent left out is tried again. */
static void take_outcomes(const struct delivery *delivery, const struct ipc_delivered *answer) {
    bool *answered = memory_allocate(delivery->count, sizeof *answered);
    struct ipc_outcome outcome;
    size_t offset = 0;
    bool bad = false;
    while (ipc_list_next(answer->outcomes, IPC_ROW_OUTCOME, &offset, &outcome, &bad)) {
        if (!is_ours(delivery, outcome.index)) continue;
        for (size_t i = 0; i < delivery->count; i++)
            if (delivery->indexes[i] == outcome.index) answered[i] = true;
        message_outcome(delivery->message, &outcome);
    }
    for (size_t i = 0; i < delivery->count; i++) {
        if (answered[i]) continue;
        struct delivery one = {.message = delivery->message,
                               .destination = delivery->destination,
                               .indexes = &delivery->indexes[i],
                               .count = 1};
        struct ipc_outcome missing = {.action = DELIVERY_DEFERRED,
                                      .status = STR("4.3.0"),
                                      .text = STR("the delivery agent did not say what became of it")};
        settle(&one, &missing, true);
    }
    MEMORY_FREE(answered);
}

/* Nothing is tried at a dead destination: what waits there is deferred. */
static void settle_waiting(struct destination *destination, struct str reason) {
    struct job *job;
    while ((job = destination_next_job(destination)) != NULL) {
        struct buf text = buf_make(900);
        buf_printf(&text, "delivery temporarily suspended: %.*s", STR_ARGS(reason));
        job_settle(job, DELIVERY_DEFERRED, "4.4.1", "none", buf_str(&text));
        buf_free(&text);
    }
}

static void deliver_by_agent(struct delivery *delivery) {
    struct destination *destination = delivery->destination;
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    struct failure failure = {0};
    int64_t begun = clock_monotonic();
    enum ipc_result result = ask_agent(delivery, arena, &reply, &failure);
    destination_took(destination, clock_monotonic() - begun);
    if (result == IPC_OK) {
        const struct ipc_delivered *answer = reply.message;
        take_outcomes(delivery, answer);
        if (answer->dead_host.length == 0)
            destination_succeeded(destination);
        else if (destination_failed(destination, answer->dead_host))
            settle_waiting(destination, answer->dead_host);
    } else {
        /* It may have got through before the agent was lost: the next attempt looks for it first. */
        if (result != IPC_REFUSED) delivery->message->perhaps_delivered = true;
        struct buf text = buf_make(400);
        buf_printf(&text, "delivery agent %s unavailable: %s", destination->transport->name,
                   result == IPC_REFUSED ? "it refused the request"
                   : failure.text[0]     ? failure.text
                                         : "connection lost");
        struct ipc_outcome outcome = {.action = DELIVERY_DEFERRED, .status = STR("4.3.0"), .text = buf_str(&text)};
        settle(delivery, &outcome, true);
        buf_free(&text);
    }
    arena_destroy(&arena);
}

static void run_delivery(void *argument) {
    struct delivery *delivery = argument;
    struct message *message = delivery->message;
    struct destination *destination = delivery->destination;
    struct transport *transport = destination->transport; /* outlives the destination */
    if (transport->client)
        deliver_by_agent(delivery);
    else
        serve_own(delivery);
    if (delivery->from_memory) message_memory_unused(message);
    message->unfinished -= delivery->count;
    if (message->unfinished == 0) message_finish(message);
    MEMORY_FREE(delivery);
    destination_delivery_ended(destination);
    transport_dispatch(transport);
}

static void delivery_start(struct delivery delivery) {
    struct delivery *kept = MEMORY_NEW(struct delivery);
    *kept = delivery;
    kept->from_memory = delivery.message->direct != NULL;
    if (kept->from_memory) delivery.message->memory_users++;
    if (task_start("delivery", run_delivery, kept)) return;
    if (kept->from_memory) message_memory_unused(delivery.message);
    /* No stack to be had: as if the agent were away. */
    struct ipc_outcome outcome = {.action = DELIVERY_DEFERRED, .status = STR("4.3.0"), .text = STR("out of resources")};
    settle(kept, &outcome, true);
    delivery.message->unfinished -= delivery.count;
    if (delivery.message->unfinished == 0) message_finish(delivery.message);
    MEMORY_FREE(kept);
    destination_place_freed(delivery.destination);
}

void transport_dispatch(struct transport *transport) {
    struct delivery delivery;
    while (transport_next(transport, &delivery))
        delivery_start(delivery);
}
