/* intake: taking a message in, whoever brings it (smtpd, pickup, bounce, local's
 * forwarding).
 *
 *   intake_open     names the message: a queue ID out of those that cleanup gave in reserve
 *   intake_write    content, LF line ends, counted and buffered
 *   intake_commit   sends the envelope; true means the message is safe: delivered, or durable in the queue
 *   intake_cancel   forgets it
 *
 * Content of an ordinary size stays in a memory file, which is sealed and handed to cleanup with the
 * envelope: one request for a message. What is larger (content_memory_limit), or does not fit beside
 * what other sessions have under way (content_memory_total), goes into a queue file that cleanup opens,
 * as it comes.
 *
 * A failure carries the SMTP reply that fits it: local faults are 4xx. */
#ifndef TERN_INTAKE_H
#define TERN_INTAKE_H

#include "delivery.h"
#include "envelope_wish.h"
#include "ipc.h"

struct config;
struct intake;
struct intake_source;

/* What to tell the client when it does not work. */
struct intake_failure {
    unsigned reply_code; /* 451, 452, 550 ... */
    char status[12];
    char text[400];
    bool unreachable; /* cleanup did not say so: it does not answer */
};

/* What became of one recipient, where that is known at once. */
struct intake_refusal {
    bool refused;
    char status[12];
    char text[301];
};

/* Everything but the content; texts are borrowed until intake_commit returns. */
struct intake_envelope {
    struct str sender, envelope_id;
    enum return_content return_content;
    enum body_type body;
    bool smtputf8;
    bool leave_recipients; /* no virtual alias expansion */
    enum report_kind report;
    struct str client_name, client_address, helo, protocol, login, message_id;
    struct str hold_reason;
    struct envelope_wish wish;
    const struct ipc_recipient *recipients;
    size_t recipient_count;
    /* One for each recipient, zeroed: who has been refused is told here, and gets no notice. NULL: notices are sent. */
    struct intake_refusal *refusals;
};

/* A process's way into the queue: the connection to cleanup (borrowed), the queue IDs in reserve, the
 * memory in use. Must outlive its intakes. */
struct intake_source *intake_source_create(struct ipc_client *cleanup, const struct config *config);
void intake_source_destroy(struct intake_source **source);

/* size_hint: bytes of content expected, 0 unknown. */
MUST_USE bool intake_open(struct intake_source *source, uint64_t size_hint, deadline until, struct intake **intake,
                          struct intake_failure *failure);
struct str intake_queue_id(const struct intake *intake);
/* False after a local fault (disk full ...), which intake_commit then reports; the
 * caller goes on reading its client to the end. Waits when the content outgrows memory. */
bool intake_write(struct intake *intake, struct str bytes);
uint64_t intake_length(const struct intake *intake);
/* Frees the intake in any case. */
MUST_USE bool intake_commit(struct intake **intake, const struct intake_envelope *envelope, deadline until,
                            struct intake_failure *failure);
void intake_cancel(struct intake **intake);

#endif
