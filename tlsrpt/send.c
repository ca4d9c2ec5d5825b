/* Sending: each report once to each place of the domain's record, by mail or by HTTPS, and again
 * for a day where that fails (RFC 8460 section 5.5). */
#include "tlsrpt.h"

#include "log.h"

#include <zlib.h>

enum {
    AT_ONCE = 20,      /* reports being sent */
    PAUSE_LEAST = 600, /* seconds after a failure; doubles */
    PAUSE_MOST = 14400,
    HTTP_MS = 120000,
    ANSWER_LIMIT = 4096,   /* octets of a server's answer, which nobody reads */
    GZIP_WINDOW = 15 + 16, /* zlib's way of saying gzip */
    GZIP_MEMORY = 8,
};

/* ---- the report, packed */

static bool compress_text(struct str text, struct buf *packed) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)text.data, .avail_in = (uInt)text.length};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    uLong bound = deflateBound(&stream, (uLong)text.length);
    char *room = buf_reserve(packed, bound);
    bool good = room != NULL;
    if (good) {
        stream.next_out = (Bytef *)room;
        stream.avail_out = (uInt)bound;
        good = deflate(&stream, Z_FINISH) == Z_STREAM_END;
        if (good) buf_commit(packed, stream.total_out);
    }
    deflateEnd(&stream);
    return good;
}

static bool pack_report(const struct tlsrpt *tlsrpt, const struct report *report, struct buf *packed) {
    struct buf id = buf_make(0), text = buf_make(0);
    letter_report_id(tlsrpt, report, &id);
    struct tlsrpt_sender sender = {.organization = tlsrpt->config->tlsrpt_organization,
                                   .contact = tlsrpt->config->tlsrpt_contact,
                                   .report_id = buf_str(&id),
                                   .begin = report->begin,
                                   .end = report->end};
    tlsrpt_day_report(report->day, &sender, &text);
    bool good = compress_text(buf_str(&text), packed);
    buf_free(&id);
    buf_free(&text);
    return good;
}

/* ---- places */

static bool post(struct tlsrpt *tlsrpt, struct str url, struct str packed, struct failure *failure) {
    struct arena *arena = arena_create(0);
    struct ipc_reply reply = {.descriptor = -1};
    struct ipc_http_exchange request = {.method = STR("POST"),
                                        .url = url,
                                        .headers = STR("Content-Type: application/tlsrpt+gzip"),
                                        .body = packed,
                                        .limit = ANSWER_LIMIT};
    bool good = ipc_ask(tlsrpt->fetch, IPC_HTTP_EXCHANGE, &request, -1, IPC_HTTP_EXCHANGED, deadline_in(HTTP_MS), arena,
                        &reply, failure) == IPC_OK;
    if (good) {
        unsigned status = (unsigned)((const struct ipc_http_exchanged *)reply.message)->status;
        good = status / 100 == 2 || failure_set(failure, "the server answers with status %u", status);
    } else if (reply.type == IPC_FAILED) {
        failure_set(failure, "%.*s", STR_ARGS(((const struct ipc_failed *)reply.message)->text));
    }
    arena_destroy(&arena);
    return good;
}

static bool send_to(struct tlsrpt *tlsrpt, const struct report *report, struct str place, struct str packed) {
    struct buf address = buf_make(0);
    struct failure failure = {0};
    char queue_id[24] = "";
    bool good;
    if (tlsrpt_place_mailbox(place, &address)) {
        good = letter_send(tlsrpt, report, buf_str(&address), packed, queue_id, &failure);
        if (good) log_message(str_from(queue_id), "TLS report on %s, to=<%s>", report->domain, buf_string(&address));
    } else {
        good = post(tlsrpt, place, packed, &failure);
        if (good) log_info("TLS report on %s, to %.*s", report->domain, STR_ARGS(place));
    }
    if (!good)
        log_warning("TLS report on %s cannot be sent to %.*s: %s", report->domain, STR_ARGS(place), failure.text);
    buf_free(&address);
    return good;
}

static bool send_to_all(struct tlsrpt *tlsrpt, struct report *report, struct str packed) {
    struct buf text = buf_make(0); /* the day's own text moves when a place is noted */
    struct tlsrpt_record record = {.count = 0};
    bool all = true;
    buf_append(&text, tlsrpt_day_record(report->day));
    if (!tlsrpt_record_parse(buf_str(&text), &record)) record.count = 0;
    for (size_t i = 0; i < record.count; i++) {
        if (tlsrpt_day_was_sent(report->day, record.places[i])) continue;
        if (!send_to(tlsrpt, report, record.places[i], packed)) {
            all = false;
            continue;
        }
        tlsrpt_day_note_sent(report->day, record.places[i]);
        report->dirty = true;
    }
    buf_free(&text);
    return all;
}

/* ---- one report */

static void later(struct report *report) {
    int64_t pause = report->attempts < 5 ? (int64_t)PAUSE_LEAST << report->attempts : PAUSE_MOST;
    report->attempts++;
    report->due = tlsrpt_now() + (pause < PAUSE_MOST ? pause : PAUSE_MOST);
}

bool send_report(struct tlsrpt *tlsrpt, struct report *report) {
    struct buf packed = buf_make(0);
    report->sending = true;
    bool sent = pack_report(tlsrpt, report, &packed) && send_to_all(tlsrpt, report, buf_str(&packed));
    buf_free(&packed);
    report->sending = false;
    if (!sent && tlsrpt_now() <= report->give_up) {
        later(report);
        return false;
    }
    if (!sent) log_warning("TLS report on %s is given up", report->domain);
    journal_remove(tlsrpt, report);
    gather_drop(tlsrpt, report);
    return sent;
}

struct sending {
    struct tlsrpt *tlsrpt;
    struct report *report;
};

static void run_sending(void *argument) {
    struct sending *sending = argument;
    struct tlsrpt *tlsrpt = sending->tlsrpt;
    (void)send_report(tlsrpt, sending->report);
    tlsrpt->sending--;
    MEMORY_FREE(sending);
}

void send_due(struct tlsrpt *tlsrpt) {
    int64_t now = tlsrpt_now();
    for (struct report *report = tlsrpt->reports; report && tlsrpt->sending < AT_ONCE; report = report->next) {
        if (!report->closed || report->sending || report->due > now) continue;
        struct sending *sending = MEMORY_NEW(struct sending);
        *sending = (struct sending){tlsrpt, report};
        if (!task_start("send report", run_sending, sending)) {
            MEMORY_FREE(sending);
            return;
        }
        report->sending = true;
        tlsrpt->sending++;
    }
}
