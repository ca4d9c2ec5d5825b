/* Whose turn it is: transports, destinations, senders, and the windows that
 * open and close with success and failure (see qmgr.h for the rule). */
#include "qmgr.h"
#include <limits.h>

/* What a DELIVER message holds (ipc_messages.def): all recipients, and what one takes besides its texts. */
#define RECIPIENT_BYTES ((size_t)60000)
#define RECIPIENT_FRAME ((size_t)20)

/* ---- finding them */

/* TRANSPORT_destination_..._limit where main.cf has it, else the default; 0 is no limit. */
static unsigned transport_limit(const struct config *config, const struct transport *transport, struct str suffix) {
    int64_t limit = config_transport_number(config, str_from(transport->name), suffix);
    return limit > 0 && limit < UINT_MAX ? (unsigned)limit : UINT_MAX;
}

struct transport *transport_find(struct qmgr *qmgr, struct str name) {
    struct transport *transport = map_get(qmgr->transports, name);
    if (transport) return transport;
    const struct config *config = qmgr->config;
    transport = MEMORY_NEW(struct transport);
    transport->qmgr = qmgr;
    transport->name = memory_copy_string(name);
    transport->destinations = map_create();
    transport->concurrency_limit = transport_limit(config, transport, STR("destination_concurrency_limit"));
    transport->recipient_limit = transport_limit(config, transport, STR("destination_recipient_limit"));
    transport->initial_concurrency = transport_limit(config, transport, STR("initial_destination_concurrency"));
    transport->cohort_limit = transport_limit(config, transport, STR("destination_concurrency_failed_cohort_limit"));
    transport->limit = (unsigned)config->qmgr_transport_delivery_limit;
    bool own = str_equal(name, STR("error")) || str_equal(name, STR("retry")) || str_equal(name, STR("discard"));
    if (!own) transport->client = service_client(qmgr->service, transport->name, NULL, NULL);
    struct str rest = config->defer_transports, word;
    while (str_next_word(&rest, ", \t", &word))
        if (str_equal(word, name)) transport->deferred = true;
    map_put(qmgr->transports, name, transport);
    return transport;
}

struct destination *destination_find(struct transport *transport, struct str name, struct str nexthop) {
    struct destination *destination = map_get(transport->destinations, name);
    if (destination) return destination;
    destination = MEMORY_NEW(struct destination);
    destination->transport = transport;
    destination->name = memory_copy_string(name);
    destination->nexthop = memory_copy_string(nexthop);
    destination->senders = map_create();
    destination->pace = transport->pace;
    map_put(transport->destinations, name, destination);
    return destination;
}

/* Nothing waits, nothing flies, and it is not known to be dead: forget it. */
static void destination_free_if_idle(struct destination *destination) {
    if (destination->jobs || destination->in_flight || destination->holds || destination->ready ||
        destination->parked.first || destination->ripe || destination_is_dead(destination))
        return;
    map_remove(destination->transport->destinations, str_from(destination->name));
    map_destroy(&destination->senders);
    MEMORY_FREE(destination->name);
    MEMORY_FREE(destination->nexthop);
    MEMORY_FREE(destination->dead_reason);
    MEMORY_FREE(destination);
}

/* Those that were dead when their last delivery ended, or lost their jobs without one. */
void destinations_sweep(struct qmgr *qmgr) {
    size_t at = 0;
    struct str name;
    void *value;
    while (map_next(qmgr->transports, &at, &name, &value)) {
        struct transport *transport = value;
        size_t inner = 0;
        while (map_next(transport->destinations, &inner, &name, &value))
            destination_free_if_idle(value);
    }
}

/* ---- rings: the entry after `turn` ... `turn` itself is next */

static void ring_add_destination(struct transport *transport, struct destination *destination) {
    if (destination->ready) return;
    destination->ready = true;
    if (!transport->turn) {
        transport->turn = destination->next = destination->previous = destination;
        return;
    }
    destination->next = transport->turn;
    destination->previous = transport->turn->previous;
    destination->previous->next = destination->next->previous = destination;
}

static void ring_remove_destination(struct destination *destination) {
    struct transport *transport = destination->transport;
    if (!destination->ready) return;
    destination->ready = false;
    if (destination->next == destination) {
        transport->turn = NULL;
        return;
    }
    if (transport->turn == destination) transport->turn = destination->next;
    destination->previous->next = destination->next;
    destination->next->previous = destination->previous;
}

static void ring_add_line(struct destination *destination, struct sender_line *line) {
    struct band *band = &destination->bands[line->band];
    if (!band->turn) {
        band->turn = line->next = line->previous = line;
        /* What it did not need while it had no work is not saved up. */
        if (band->pass < destination->pass) band->pass = destination->pass;
        return;
    }
    line->next = band->turn;
    line->previous = band->turn->previous;
    line->previous->next = line->next->previous = line;
}

static struct sender_line *line_find(struct destination *destination, struct str sender, int priority) {
    struct buf key = buf_make(0);
    uint8_t band = (uint8_t)(priority - PRIORITY_LEAST);
    buf_append_char(&key, (char)('A' + band));
    buf_append(&key, sender);
    struct sender_line *line = map_get(destination->senders, buf_str(&key));
    if (!line) {
        line = MEMORY_NEW(struct sender_line);
        line->key = memory_copy_string(buf_str(&key));
        line->band = band;
        map_put(destination->senders, buf_str(&key), line);
        ring_add_line(destination, line);
    }
    buf_free(&key);
    return line;
}

static void line_free(struct destination *destination, struct sender_line *line) {
    struct band *band = &destination->bands[line->band];
    map_remove(destination->senders, str_from(line->key));
    if (line->next == line) {
        band->turn = NULL;
    } else {
        if (band->turn == line) band->turn = line->next;
        line->previous->next = line->next;
        line->next->previous = line->previous;
    }
    MEMORY_FREE(line->key);
    MEMORY_FREE(line);
}

/* ---- jobs */

static bool has_place(const struct destination *destination) {
    double window = destination->window > 0 ? destination->window : 1;
    return destination->jobs > 0 && (double)destination->in_flight < window;
}

static void update_ready(struct destination *destination) {
    if (has_place(destination))
        ring_add_destination(destination->transport, destination);
    else
        ring_remove_destination(destination);
}

void destination_add_job(struct destination *destination, struct job *job) {
    struct sender_line *line =
        line_find(destination, job->message->envelope.sender, job->message->envelope.wish.priority);
    job->destination = destination;
    job->line = line;
    job->next = NULL;
    job->previous = line->last;
    if (line->last)
        line->last->next = job;
    else
        line->first = job;
    line->last = job;
    destination->jobs++;
    if (destination->window <= 0) {
        unsigned limit = destination->transport->concurrency_limit,
                 initial = destination->transport->initial_concurrency;
        destination->window = initial < limit ? initial : limit;
    }
    update_ready(destination);
}

/* ---- a crowd: three quarters of the messages that there may be; and when it has become smaller */

static size_t part_of_all(const struct destination *destination, unsigned eighths) {
    return (size_t)destination->transport->qmgr->config->qmgr_message_active_limit * eighths / 8;
}

bool destination_is_crowded(const struct destination *destination) {
    return destination->jobs + destination->in_flight > part_of_all(destination, 6);
}

static void note_ripe(struct destination *destination) {
    struct qmgr *qmgr = destination->transport->qmgr;
    if (!destination->parked.first || destination->ripe ||
        destination->jobs + destination->in_flight > part_of_all(destination, 5))
        return;
    destination->ripe = true;
    destination->next_ripe = qmgr->ripe;
    qmgr->ripe = destination;
    task_queue_wake_one(&qmgr->incoming_wait);
}

void destination_remove_job(struct destination *destination, struct job *job) {
    struct sender_line *line = job->line;
    if (!line) return;
    if (job->previous)
        job->previous->next = job->next;
    else
        line->first = job->next;
    if (job->next)
        job->next->previous = job->previous;
    else
        line->last = job->previous;
    job->line = NULL;
    destination->jobs--;
    if (!line->first) line_free(destination, line);
    update_ready(destination);
    note_ripe(destination);
}

/* ---- feedback (default_destination_concurrency_positive_feedback and its like: 1 divided by
 * the window, so a window's worth of successes opens it by one) */

bool destination_is_dead(const struct destination *destination) {
    return deadline_left(destination->dead_until) > 0;
}

void destination_succeeded(struct destination *destination) {
    destination->failed_cohorts = 0;
    destination->failure_count = 0;
    destination->dead_until = 0;
    destination->success += 1 / (destination->window > 1 ? destination->window : 1);
    if (destination->success >= 1) {
        destination->success = 0;
        if (destination->window < destination->transport->concurrency_limit) destination->window += 1;
    }
}

/* The one whose turn it is; NULL: there is no work. */
static struct band *next_band(struct destination *destination) {
    struct band *next = NULL;
    for (size_t i = PRIORITY_COUNT; i-- > 0;) {
        struct band *band = &destination->bands[i];
        if (band->turn && (!next || band->pass < next->pass)) next = band;
    }
    return next;
}

static void declare_dead(struct destination *destination, struct qmgr *qmgr, struct str reason) {
    destination->dead_until = deadline_in(qmgr->config->minimal_backoff_time * 1000);
    MEMORY_FREE(destination->dead_reason);
    destination->dead_reason = memory_copy_string(reason);
}

struct job *destination_next_job(struct destination *destination) {
    struct band *band = next_band(destination);
    return band ? band->turn->first : NULL;
}

bool destination_failed(struct destination *destination, struct str reason) {
    struct qmgr *qmgr = destination->transport->qmgr;
    destination->success = 0;
    destination->failure_count += 1 / (destination->window > 1 ? destination->window : 1);
    if (destination->failure_count >= 1) {
        destination->failure_count = 0;
        destination->failed_cohorts++;
        if (destination->window > 1) destination->window -= 1;
    }
    if (destination->failed_cohorts < destination->transport->cohort_limit) return false;
    declare_dead(destination, qmgr, reason);
    return true;
}

/* ---- how long it takes */

static void follow_pace(double *pace, double took) {
    *pace = *pace > 0 ? *pace + (took - *pace) / 8 : took;
}

/* What is not known of a destination is taken to be as with the others of its transport. */
void destination_took(struct destination *destination, int64_t milliseconds) {
    double took = (double)milliseconds + 0.01; /* 0 is "not known" */
    follow_pace(&destination->pace, took);
    follow_pace(&destination->transport->pace, took);
}

double destination_outlook(const struct destination *destination) {
    double window = destination->window > 1 ? destination->window : 1;
    double ahead = (double)(destination->jobs + destination->in_flight);
    return destination->pace * (1 + ahead / window);
}

/* ---- turns */

/* Recipients of a job that fit into one request, at most the transport's limit; at least one. */
static size_t next_portion(const struct job *job, size_t limit) {
    size_t count = 0, bytes = 0;
    for (; count < limit && job->taken + count < job->count; count++) {
        const struct queue_recipient *recipient = &job->message->envelope.recipients[job->indexes[job->taken + count]];
        bytes += recipient->address.length + recipient->original.length + recipient->orcpt.length + RECIPIENT_FRAME;
        if (count && bytes > RECIPIENT_BYTES) break;
    }
    return count;
}

/* What a turn costs a band: half as much for three steps of priority. */
static uint64_t stride_of(const struct destination *destination, const struct band *band) {
    static const uint64_t steps[3] = {1000, 794, 630}; /* the cube roots of one half */
    size_t number = (size_t)(band - destination->bands);
    return (steps[number % 3] << 7) >> number / 3;
}

/* The next recipients of the sender whose turn it is; the sender then goes to the end. */
static struct delivery take_delivery(struct destination *destination) {
    struct band *band = next_band(destination);
    struct sender_line *line = band->turn;
    struct job *job = line->first;
    band->turn = line->next;
    destination->pass = band->pass;
    band->pass += stride_of(destination, band);
    size_t count = next_portion(job, destination->transport->recipient_limit);
    struct delivery delivery = {
        .message = job->message, .destination = destination, .indexes = job->indexes + job->taken, .count = count};
    job->taken += count;
    if (job->taken == job->count) destination_remove_job(destination, job);
    return delivery;
}

bool transport_next(struct transport *transport, struct delivery *delivery) {
    struct destination *destination = transport->turn;
    if (!destination || transport->in_flight >= transport->limit) return false;
    transport->turn = destination->next;
    destination->in_flight++;
    transport->in_flight++;
    *delivery = take_delivery(destination);
    update_ready(destination);
    return true;
}

void destination_place_freed(struct destination *destination) {
    destination->in_flight--;
    destination->transport->in_flight--;
    update_ready(destination);
    note_ripe(destination);
}

void destination_delivery_ended(struct destination *destination) {
    destination_place_freed(destination);
    destination_free_if_idle(destination);
}
